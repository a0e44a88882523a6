"""A cursor WITH HOLD outlives its transaction, and advisory locks and LISTEN outlive theirs: all that needs a session."""
import select

import psycopg2

connection = psycopg2.connect("")
cursor = connection.cursor("held", withhold=True)
cursor.execute("select i from generate_series(1, 10) i")
print(cursor.fetchmany(2))
connection.commit()
print(cursor.fetchall())
cursor.close()
connection.commit()

connection.autocommit = True
cursor = connection.cursor()
cursor.execute("select pg_try_advisory_lock(42)")
cursor.execute("listen news")
other = psycopg2.connect("")
other.autocommit = True
other_cursor = other.cursor()
other_cursor.execute("select pg_try_advisory_lock(42)")
print(other_cursor.fetchone())
other_cursor.execute("notify news, 'one'")
other_cursor.execute("notify news, 'two'")
while len(connection.notifies) < 2:
    if not select.select([connection], [], [], 20)[0]:
        raise SystemExit("no notification came")
    connection.poll()
print([(notify.channel, notify.payload) for notify in connection.notifies])
connection.close()
other.close()
