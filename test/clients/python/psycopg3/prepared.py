"""Statements that psycopg prepares by itself, evicts, and drops when tables change."""
import psycopg
from psycopg.rows import dict_row

with psycopg.connect(autocommit=True) as connection:
    connection.prepare_threshold = 2
    connection.prepared_max = 3
    for turn in range(6):
        for number in range(5):
            row = connection.execute(f"select %s::int + {number} as sum", (turn,), prepare=True).fetchone()
            assert row == (turn + number,), row

    cursor = connection.cursor(row_factory=dict_row)
    print(cursor.execute("select %s as word, %b as number", ("größer", 42), prepare=True).fetchall())
    connection.execute("create table things (id int, name text)")
    for i in range(10):
        connection.execute("insert into things values (%s, %s)", (i, f"thing {i}"), prepare=True)
    print(connection.execute("select * from things where id < %s order by id", (3,), prepare=True).fetchall())
    connection.execute("alter table things add column price numeric default 1.5")
    try:
        rows = connection.execute("select * from things where id < %s order by id", (3,), prepare=True).fetchall()
    except psycopg.errors.FeatureNotSupported as error:
        # "cached plan must not change result type": PostgreSQL itself cannot do better here, a pooler may.
        rows = connection.execute("select * from things where id < %s order by id", (3,), prepare=False).fetchall()
    print(rows)
    connection.execute("drop table things")
    try:
        connection.execute("select * from things where id < %s order by id", (3,), prepare=True)
    except psycopg.errors.UndefinedTable as error:
        print(error.sqlstate, error.diag.message_primary)

    # After a rollback psycopg drops all of its statements (DEALLOCATE ALL) and begins anew.
    for turn in range(4):
        try:
            with connection.transaction():
                print(connection.execute("select %s::int * 2", (turn,), prepare=True).fetchone())
                connection.execute("select 1 / %s::int", (turn % 2,), prepare=True)
        except psycopg.errors.DivisionByZero as error:
            print(error.sqlstate)
    connection.execute("deallocate all")
    print(connection.execute("select %s::text", ("all is well",)).fetchone())

# Many clients with the same statements, by the same names.
with psycopg.connect() as one, psycopg.connect() as two:
    for connection in (one, two):
        connection.prepare_threshold = 0
    for turn in range(5):
        print(one.execute("select %s::int, 'one'", (turn,)).fetchone(), two.execute("select 'two', %s::int", (turn,)).fetchone())
        one.commit()
        two.commit()
    one.rollback()
    print(two.execute("select 'two', %s::int", (5,)).fetchone())
