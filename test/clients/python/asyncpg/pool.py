"""asyncpg's own pool, with more tasks than connections: each transaction sees what it set itself, and nobody else does."""
import asyncio

import asyncpg


async def work(pool, number):
    for turn in range(5):
        async with pool.acquire() as connection:
            async with connection.transaction():
                assert await connection.fetchval("select $1::int * 1000 + $2::int", number, turn) == number * 1000 + turn
                await connection.execute("select set_config('mine.number', $1, true)", str(number))
                assert await connection.fetchval("select current_setting('mine.number')") == str(number)
    return number


async def main():
    async with asyncpg.create_pool(min_size=10, max_size=30) as pool:
        print(sum(await asyncio.gather(*(work(pool, number) for number in range(60)))))


asyncio.run(main())
