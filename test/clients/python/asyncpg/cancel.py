"""A time limit and a cancelled task: asyncpg cancels the query and goes on with the connection."""
import asyncio

import asyncpg


async def main():
    connection = await asyncpg.connect()
    for turn in range(5):
        try:
            await connection.fetchval("select $1::int, pg_sleep(600)", turn, timeout=0.3)
        except asyncio.TimeoutError:
            print("timed out", await connection.fetchval("select $1::int", turn))
    task = asyncio.create_task(connection.execute("select pg_sleep(600)"))
    watcher = await asyncpg.connect()
    running = "select exists (select from pg_stat_activity where datname = current_database() and state = 'active' and query = $1)"
    while not await watcher.fetchval(running, "select pg_sleep(600)"):
        pass
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled", await connection.fetchval("select 'alive'"))
    async with connection.transaction():
        try:
            async with connection.transaction():
                await connection.execute("select pg_sleep(600)", timeout=0.3)
        except asyncio.TimeoutError:
            print("in a transaction", await connection.fetchval("select 'alive'"))
    await connection.close()
    await watcher.close()


asyncio.run(main())
