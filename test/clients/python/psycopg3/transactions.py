"""Blocks of transactions within each other, cursors on the server, notices, binary results and two-faced types."""
import datetime
import decimal
import uuid

import psycopg
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

with psycopg.connect() as connection:
    connection.execute("create table things (id int primary key)")
    with connection.transaction():
        connection.execute("insert into things values (1)")
        try:
            with connection.transaction("inner"):
                connection.execute("insert into things values (2)")
                connection.execute("insert into things values (1)")
        except psycopg.errors.UniqueViolation as error:
            print(error.sqlstate, error.diag.message_detail)
        with connection.transaction() as block:
            connection.execute("insert into things values (3)")
            raise psycopg.Rollback(block)
    print(connection.execute("select array_agg(id) from things").fetchone())
    connection.commit()

    with connection.cursor("rows") as cursor:
        cursor.itersize = 90
        cursor.execute("select i, %s::text from generate_series(1, 1000) i", ("x",))
        print(sum(i for i, _ in cursor))
    with connection.cursor("scrolling", scrollable=True) as cursor:
        cursor.execute("select i from generate_series(1, 10) i")
        cursor.scroll(5)
        print(cursor.fetchone(), cursor.fetchall())
    connection.commit()

    values = [
        (42, "int4"), (2**40, "int8"), (1.5, "float8"), (decimal.Decimal("1.50"), "numeric"), ("größer", "text"),
        (b"\0\xff", "bytea"), (True, "bool"), (None, "text"), (uuid.UUID(int=42), "uuid"), (["a", "{}"], "text[]"),
        (datetime.date(2024, 5, 1), "date"), (datetime.timedelta(days=1, hours=2), "interval"),
        (datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.timezone.utc), "timestamptz"),
        ([1, 2, None], "int4[]"), (Jsonb({"a": [1, None]}), "jsonb"), (Range(1, 5), "int4range"),
    ]
    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            for value, kind in values:
                got = cursor.execute(f"select %s::{kind}", (value,)).fetchone()[0]
                wanted = value.obj if isinstance(value, Jsonb) else value
                assert got == wanted, (binary, value, got)
    print(len(values), "values each way")

    connection.add_notice_handler(lambda notice: print(notice.severity, notice.message_primary))
    connection.execute("do $$ begin raise warning 'a warning'; end $$")
    with connection.cursor() as cursor:
        # Several statements in one query, which only the simple protocol can do.
        cursor.execute("select 1; select 2")
        print(cursor.fetchone(), cursor.nextset(), cursor.fetchone(), cursor.nextset())
    connection.rollback()
    connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    connection.read_only = True
    print(connection.execute("select current_setting('transaction_isolation'), current_setting('transaction_read_only')").fetchone())
    print(connection.info.transaction_status.name, connection.info.parameter_status("TimeZone"))
    with psycopg.ClientCursor(connection) as cursor:
        print(cursor.execute("select %s, %s", (1, "it's")).fetchone())
    for row in connection.cursor().stream("select i from generate_series(1, 3) i"):
        print(row)
