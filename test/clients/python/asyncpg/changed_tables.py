"""What asyncpg does when tables change under its prepared statements: it prepares them anew where it may."""
import asyncio

import asyncpg


async def look(connection, *values):
    try:
        return [tuple(row) for row in await connection.fetch("select * from things where id::text = $1", *values)]
    except asyncpg.InvalidCachedStatementError:
        # Within a transaction nothing can be done about it.
        return "stale"


async def main():
    one, two = await asyncpg.connect(), await asyncpg.connect()
    await one.execute("create table things (id int)")
    await one.execute("insert into things values (1)")
    for change in ("add column a int default 2", "alter column a type text", "drop column a", "alter column id type text"):
        print([await look(connection, "1") for connection in (one, two)])
        await one.execute(f"alter table things {change}")
        print(change, [await look(connection, "1") for connection in (one, two)])

    # Parameters of the same text have other types in the table that comes after this one.
    insert = "insert into things values ($1) returning id"
    print(await two.fetchval(insert, "text"))
    await one.execute("drop table things; create table things (id int)")
    await two.reload_schema_state()
    print(await two.fetchval(insert, 42))
    third = await asyncpg.connect()
    print(await third.fetchval(insert, 43))
    await one.execute("create type mood as enum ('sad')")
    await one.execute("alter table things add column mood mood")
    print(await third.fetchval("insert into things values ($1, $2) returning mood", 44, "sad"))
    for connection in (one, two, third):
        await connection.close()


asyncio.run(main())
