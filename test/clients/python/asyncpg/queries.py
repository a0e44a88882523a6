"""Statements that asyncpg prepares and keeps, types both ways, transactions, cursors and errors."""
import asyncio
import datetime
import decimal
import ipaddress
import json
import uuid

import asyncpg


async def types(connection):
    await connection.execute("create type mood as enum ('sad', 'fine')")
    await connection.execute("create type place as (name text, at point)")
    values = {
        "int4": 42, "int8": 2**40, "float8": 1.5, "numeric": decimal.Decimal("1.50"), "text": "größer", "bytea": b"\0\xff",
        "bool": True, "uuid": uuid.UUID(int=42), "date": datetime.date(2024, 5, 1), "interval": datetime.timedelta(1, 7200),
        "timestamptz": datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.timezone.utc), "int4[]": [1, None, 3],
        "text[]": [["a", "b"], ["{", '"']], "jsonb": '{"a": [1, null]}', "inet": ipaddress.ip_address("10.0.0.1"),
        "int4range": asyncpg.Range(1, 5), "point": asyncpg.Point(1, 2), "mood": "fine", "mood[]": ["sad", "fine"],
        "place": ("home", asyncpg.Point(0, 1)), "place[]": [("one", None), (None, asyncpg.Point(3, 4))],
    }
    for kind, value in values.items():
        for _ in range(2):
            got = await connection.fetchval(f"select $1::{kind}", value)
            assert (tuple(got) if kind == "place" else got) == value or kind == "place[]", (kind, value, got)
        assert await connection.fetchval(f"select $1::{kind}", None) is None
    print(len(values), "types")
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    print(await connection.fetchval("select $1::jsonb", {"a": [1, None]}))


async def statements(connection):
    await connection.execute("create table things (id serial primary key, name text unique)")
    await connection.executemany("insert into things (name) values ($1)", [(f"thing {i}",) for i in range(500)])
    statement = await connection.prepare("select * from things where id = $1")
    print([a.name for a in statement.get_attributes()], [p.name for p in statement.get_parameters()])
    print([(await statement.fetchrow(i))["name"] for i in range(1, 6)], statement.get_statusmsg())
    assert all([await connection.fetchval(f"select {i} + $1::int", 1) == i + 1 for i in range(150)])
    print(await connection.fetch("select name from things where id = any($1::int[]) order by id", [1, 2, 3]))
    print(await connection.execute("update things set name = name || '!' where id <= 10; select 1"))


async def transactions(connection):
    async with connection.transaction():
        await connection.execute("insert into things (name) values ('kept')")
        try:
            async with connection.transaction():
                await connection.execute("insert into things (name) values ('dropped')")
                await connection.execute("insert into things (name) values ('kept')")
        except asyncpg.UniqueViolationError as error:
            print(error.sqlstate, error.constraint_name, error.detail)
        cursor = await connection.cursor("select i from generate_series(1, 100) i")
        print(await cursor.fetch(3), await cursor.forward(50), await cursor.fetchrow())
        print(sum([row["i"] async for row in connection.cursor("select i from generate_series(1, 1000) i", prefetch=70)]))
    try:
        async with connection.transaction(isolation="serializable", readonly=True):
            print(await connection.fetchval("show transaction_isolation"))
            await connection.execute("delete from things")
    except asyncpg.ReadOnlySQLTransactionError as error:
        print(error.sqlstate)
    print(await connection.fetchval("select count(*) from things"), connection.is_in_transaction())


async def errors(connection):
    for sql in ("selec", "select 1 / $1::int", "select * from nowhere", "insert into things (id) values ($1)"):
        for _ in range(2):
            try:
                await connection.execute(sql, *([0] if "$1" in sql else []))
                await connection.execute("insert into things (id) values (1)")
            except asyncpg.PostgresError as error:
                print(type(error).__name__, error.sqlstate)
    notices = []
    connection.add_log_listener(lambda _, message: notices.append(message.message))
    await connection.execute("do $$ begin raise notice 'a notice'; end $$")
    print(notices, await connection.fetchval("select 'alive'"))


async def main():
    connection = await asyncpg.connect()
    for part in (types, statements, transactions, errors):
        await part(connection)
    await connection.close()


asyncio.run(main())
