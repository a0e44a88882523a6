"""asyncpg's own pool resets each connection that comes back, to what it was when it was opened."""
import asyncio

import asyncpg

SETTINGS = ("search_path", "timezone", "application_name", "statement_timeout", "datestyle", "work_mem")


async def look(connection):
    return [await connection.fetchval(f"show {name}") for name in SETTINGS]


async def main():
    settings = {"search_path": "one, public", "timezone": "Asia/Tokyo", "application_name": "the pool", "work_mem": "5MB"}
    async with asyncpg.create_pool(min_size=1, max_size=1, server_settings=settings) as pool:
        for _ in range(3):
            async with pool.acquire() as connection:
                print(await look(connection))
                await connection.execute("set timezone to 'Europe/Vienna'")
                await connection.execute("set application_name to 'another'")
                print((await look(connection))[1:3])
    plain = await asyncpg.connect()
    print(await look(plain))
    await plain.close()


asyncio.run(main())
