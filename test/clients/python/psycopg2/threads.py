"""Many connections at once: every reply belongs to its question."""
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg2

CONNECTIONS, ROUNDS = int(sys.argv[1]), 25


def talk(number):
    connection = psycopg2.connect(application_name=f"client {number}")
    cursor = connection.cursor()
    for turn in range(ROUNDS):
        cursor.execute("select %s, %s, current_setting('application_name')", (number, turn))
        assert cursor.fetchone() == (number, turn, f"client {number}")
        cursor.execute("select i, %s from generate_series(1, %s) i", (number, 1 + 100 * (turn % 3)))
        assert cursor.fetchall() == [(i, number) for i in range(1, 2 + 100 * (turn % 3))]
        if turn % 3 == 0:
            connection.rollback()
        elif turn % 3 == 1:
            connection.commit()
    connection.close()
    return number


with ThreadPoolExecutor(CONNECTIONS) as executor:
    print(sum(executor.map(talk, range(CONNECTIONS))))
