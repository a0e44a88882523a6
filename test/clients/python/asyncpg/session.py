"""LISTEN, temporary tables and advisory locks last as long as the session."""
import asyncio

import asyncpg


async def main():
    listener, speaker = await asyncpg.connect(), await asyncpg.connect()
    heard = asyncio.Queue()
    await listener.add_listener("news", lambda _connection, _pid, channel, payload: heard.put_nowait((channel, payload)))
    await speaker.execute("notify news, 'one'")
    await speaker.execute("select pg_notify('news', $1)", "two")
    print([await asyncio.wait_for(heard.get(), 20) for _ in range(2)])
    await listener.execute("create temporary table notes (id int)")
    await listener.copy_records_to_table("notes", records=[(1,), (2,)])
    print(await listener.fetchval("select sum(id) from notes"))
    print(await listener.fetchval("select pg_try_advisory_lock(7)"), await speaker.fetchval("select pg_try_advisory_lock(7)"))
    await listener.reset()
    print(await speaker.fetchval("select pg_try_advisory_lock(7)"))
    await listener.close()
    await speaker.close()


asyncio.run(main())
