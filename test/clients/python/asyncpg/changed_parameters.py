"""asyncpg sends values in the binary format of the types that its statement's parameters had when it was prepared."""
import asyncio

import asyncpg

CHANGES = [("int", "bigint"), ("bigint", "float8"), ("bigint", "int"), ("int", "text"), ("float8", "numeric")]


async def main():
    one, two, holder = [await asyncpg.connect() for _ in range(3)]
    for number, (before, after) in enumerate(CHANGES):
        for returning in ("", " returning id"):
            await two.execute(f"drop table if exists things; create table things (id int, n {before})")
            await two.execute("insert into things values (1)")
            change = f"update things set n = $1 where id = $2{returning} -- {number}"
            await one.fetch(change, 3, 1)
            # Through a pool, `one` gets another server next, which has to prepare the statement.
            transaction = holder.transaction()
            await transaction.start()
            await two.execute(f"alter table things alter n type {after}")
            await one.fetch(change, 7, 1)
            await transaction.rollback()
            await one.fetch(change, 8, 1)
            print(before, after, await two.fetchval("select n::text from things"))
    for connection in (one, two, holder):
        await connection.close()


asyncio.run(main())
