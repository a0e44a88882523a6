"""cancel() from another thread, a statement timeout, and a task that asyncio cancels."""
import asyncio
import threading
import time

import psycopg

RUNS = "select 1 from pg_stat_activity where datname = current_database() and state = 'active' and query like %s"


def cancel_when_it_runs(connection, mark):
    deadline = time.monotonic() + 20
    with psycopg.connect(autocommit=True) as watcher:
        while time.monotonic() < deadline:
            if watcher.execute(RUNS, (f"select pg_sleep(600) /* {mark} */%",)).fetchone():
                connection.cancel()
                return


with psycopg.connect() as connection:
    for mark in range(3):
        thread = threading.Thread(target=cancel_when_it_runs, args=(connection, mark))
        thread.start()
        try:
            connection.execute(f"select pg_sleep(600) /* {mark} */", prepare=mark == 1)
        except psycopg.errors.QueryCanceled as error:
            print(mark, str(error))
        thread.join()
        connection.rollback()
        print(connection.execute("select %s::int", (mark,)).fetchone())
        connection.commit()

    # Within a pipeline: only what runs is cancelled, and what follows up to the sync is skipped.
    with connection.pipeline() as pipeline:
        first = connection.execute("select 'before'")
        thread = threading.Thread(target=cancel_when_it_runs, args=(connection, "piped"))
        connection.execute("select pg_sleep(600) /* piped */")
        thread.start()
        try:
            pipeline.sync()
        except psycopg.errors.QueryCanceled as error:
            print("piped", str(error))
        thread.join()
    connection.rollback()

    connection.execute("set local statement_timeout = 300")
    try:
        connection.execute("select pg_sleep(600)")
    except psycopg.errors.QueryCanceled as error:
        print(str(error))
    connection.rollback()
    print(connection.execute("select 'alive'").fetchone())


async def main():
    connection = await psycopg.AsyncConnection.connect()
    try:
        await asyncio.wait_for(connection.execute("select pg_sleep(600)"), 0.3)
    except asyncio.TimeoutError:
        print("timed out")
    # The query still runs: whoever hangs up now must not leave it behind.
    await connection.close()


asyncio.run(main())
