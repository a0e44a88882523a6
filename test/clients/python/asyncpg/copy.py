"""COPY with records, tables, queries and files, binary and as text, and with errors."""
import asyncio
import io

import asyncpg


async def main():
    connection = await asyncpg.connect()
    await connection.execute("create table points (id int primary key, name text)")
    records = [(i, f"tab\t{i}" if i % 2 else None) for i in range(20_000)]
    print(await connection.copy_records_to_table("points", records=records))
    out = io.BytesIO()
    print(await connection.copy_from_table("points", output=out, format="csv", columns=["id"]), len(out.getvalue()))
    out = io.BytesIO()
    print(await connection.copy_from_query("select * from points where id < $1 order by id", 5, output=out), out.getvalue())
    print(await connection.copy_to_table("points", source=io.BytesIO(b"30000,x\n30001,y\n"), format="csv"))

    async def breaks():
        yield b"40000,x\n"
        raise OSError("the source broke")

    for source in (io.BytesIO(b"1,twice\n" + b"50000,x\n" * 100_000), io.BytesIO(b"none,x\n"), breaks()):
        try:
            await connection.copy_to_table("points", source=source, format="csv")
        except (asyncpg.PostgresError, OSError) as error:
            print(type(error).__name__, str(error).splitlines()[0])
    try:
        await connection.copy_from_query("select 10 / (500 - i) from generate_series(1, 1000) i", output=io.BytesIO())
    except asyncpg.DivisionByZeroError as error:
        print(error.sqlstate)
    print(await connection.fetchrow("select count(*), max(id) from points"))
    await connection.close()


asyncio.run(main())
