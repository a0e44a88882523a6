"""Asyncio tasks, a connection pool of psycopg's own, and bare threads: many more than there are servers."""
import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg_pool import ConnectionPool

MANY, ROUNDS = 40, 15


def expect(row, *wanted):
    assert row == wanted, (row, wanted)


async def task(number):
    async with await psycopg.AsyncConnection.connect(prepare_threshold=2) as connection:
        for turn in range(ROUNDS):
            cursor = await connection.execute("select %s::int, %s::int", (number, turn))
            expect(await cursor.fetchone(), number, turn)
            if turn % 2:
                await connection.commit()
    return number


async def tasks():
    print("tasks", sum(await asyncio.gather(*(task(number) for number in range(MANY)))))


def thread(number):
    with psycopg.connect(prepare_threshold=1) as connection:
        for turn in range(ROUNDS):
            with connection.transaction():
                connection.execute("update counters set value = value + 1 where id = %s", (number % 7,))
                expect(connection.execute("select %s::int, %s::text", (turn, f"thread {number}")).fetchone(), turn, f"thread {number}")
    return number


def pooled(pool, number):
    for turn in range(ROUNDS):
        with pool.connection() as connection:
            expect(connection.execute("select %s::int, %s::int", (number, turn)).fetchone(), number, turn)
            if turn == 3:
                try:
                    connection.execute("select 1 / 0")
                except psycopg.errors.DivisionByZero:
                    connection.rollback()
    return number


asyncio.run(tasks())
with psycopg.connect(autocommit=True) as connection:
    connection.execute("create table counters (id int primary key, value int not null)")
    connection.execute("insert into counters select i, 0 from generate_series(0, 6) i")
with ThreadPoolExecutor(MANY) as executor:
    print("threads", sum(executor.map(thread, range(MANY))))
with psycopg.connect() as connection:
    print(connection.execute("select sum(value) from counters").fetchone())
with ConnectionPool(min_size=8, max_size=16) as pool:
    with ThreadPoolExecutor(MANY) as executor:
        print("pooled", sum(executor.map(lambda number: pooled(pool, number), range(MANY))))
