"""cancel() from another thread, and again and again, hits the query that runs and no other."""
import threading
import time

import psycopg2
import psycopg2.errors

connection = psycopg2.connect("")
connection.autocommit = True
cursor = connection.cursor()
watcher = psycopg2.connect("")
watcher.autocommit = True
watcher_cursor = watcher.cursor()


def cancel_when_it_runs(mark):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        watcher_cursor.execute(
            "select 1 from pg_stat_activity where datname = current_database() and state = 'active' and query like %s",
            (f"select pg_sleep(600) /* {mark} */%",),
        )
        if watcher_cursor.fetchone():
            connection.cancel()
            return


for mark in range(5):
    thread = threading.Thread(target=cancel_when_it_runs, args=(mark,))
    thread.start()
    try:
        cursor.execute(f"select pg_sleep(600) /* {mark} */")
    except psycopg2.errors.QueryCanceled as error:
        print(mark, error.pgcode, str(error).strip())
    thread.join()
    cursor.execute("select %s", (mark,))
    print(cursor.fetchone())

# Nothing runs: nothing happens, neither now nor to the next query.
connection.cancel()
for i in range(20):
    cursor.execute("select %s", (i,))
    assert cursor.fetchone() == (i,)
print("alive")
connection.close()
watcher.close()
