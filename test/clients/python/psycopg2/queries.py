"""Types, parameters, transactions and errors, as a program without much thought uses psycopg2."""
import datetime
import decimal
import uuid

import psycopg2
import psycopg2.errors
import psycopg2.extras

psycopg2.extras.register_uuid()
connection = psycopg2.connect("")
cursor = connection.cursor()


def show(sql, *values):
    cursor.execute(sql, values)
    print(cursor.statusmessage, [column.name for column in cursor.description], cursor.fetchall())


show("select %s, %s, %s", 1, "größer %", None)
show("select %s::date, %s::numeric", datetime.date(2024, 5, 1), decimal.Decimal("1.50"))
show("select %s, %s", [1, 2, 3], uuid.UUID(int=42))
show("select %s::jsonb, encode(%s::bytea, 'hex')", psycopg2.extras.Json({"a": [1, None]}), b"\0\xff")
show("select '2024-05-01 12:00+02'::timestamptz, '1 day 2 hours'::interval, int4range(1, 5), row(1, 'x')")
connection.commit()

cursor.execute("create table words (id serial primary key, word text unique)")
psycopg2.extras.execute_values(cursor, "insert into words (word) values %s", [(f"w{i}",) for i in range(2500)], page_size=500)
psycopg2.extras.execute_batch(cursor, "update words set word = word || 'x' where id = %s", [(i,) for i in range(1, 300)])
connection.commit()
show("select count(*), count(*) filter (where word like '%%x') from words")

for sql in ("select 1 / 0", "insert into words (word) values ('w2000')", "selec", "select * from nowhere"):
    try:
        with connection:
            with connection.cursor() as other:
                other.execute("insert into words (word) values ('never')")
                other.execute(sql)
    except psycopg2.Error as error:
        print(type(error).__name__, error.pgcode, error.pgerror.splitlines(), error.diag.constraint_name)
show("select count(*) from words where word = 'never'")

try:
    cursor.execute("select 1 / 0")
except psycopg2.errors.DivisionByZero:
    pass
try:
    cursor.execute("select 1")
except psycopg2.errors.InFailedSqlTransaction as error:
    print(error.pgcode)
connection.rollback()

connection.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
show("select current_setting('transaction_isolation'), current_setting('transaction_read_only')")
try:
    cursor.execute("delete from words")
except psycopg2.errors.ReadOnlySqlTransaction as error:
    print(error.pgcode)
connection.rollback()
connection.set_session(isolation_level="DEFAULT", readonly=False, deferrable=False)

connection.autocommit = True
cursor.execute("do $$ begin raise notice 'a notice'; end $$")
print(connection.notices)
show("select 1; select 2 as last")
try:
    cursor.execute(" ")
except psycopg2.ProgrammingError as error:
    print(str(error).strip())
show("select count(*) from words")
cursor.callproc("pg_catalog.abs", (-5,))
print(cursor.fetchall())
print(connection.get_parameter_status("server_version") is not None, connection.encoding)
connection.set_client_encoding("LATIN1")
show("select 'größer', current_setting('client_encoding')")
connection.close()
