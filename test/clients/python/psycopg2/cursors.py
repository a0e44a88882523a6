"""Named cursors live on the server, in the transaction."""
import psycopg2

connection = psycopg2.connect("")
with connection, connection.cursor("rows") as cursor:
    cursor.itersize = 70
    cursor.execute("select i, repeat('x', i %% 50) from generate_series(1, %s) i", (1000,))
    print(sum(i + len(text) for i, text in cursor))

with connection, connection.cursor("scrolling", scrollable=True) as cursor:
    cursor.execute("select i from generate_series(1, 100) i")
    print(cursor.fetchmany(3))
    cursor.scroll(50)
    print(cursor.fetchone())
    cursor.scroll(0, mode="absolute")
    print(cursor.fetchone())

# Two at a time, turn by turn.
first, second = connection.cursor("first"), connection.cursor("second")
first.execute("select i from generate_series(1, 10) i")
second.execute("select i from generate_series(101, 110) i")
print([pair for _ in range(5) for pair in zip(first.fetchmany(2), second.fetchmany(2))])
connection.commit()
try:
    first.fetchone()
except psycopg2.Error as error:
    print(error.pgcode, str(error).splitlines()[0])
connection.rollback()
connection.close()
