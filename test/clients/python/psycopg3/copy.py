"""COPY by rows and by blocks, as text and binary, between two connections, and broken off."""
import psycopg

with psycopg.connect() as connection, psycopg.connect() as other:
    cursor = connection.cursor()
    cursor.execute("create table points (id int primary key, name text, at timestamptz)")
    with cursor.copy("copy points from stdin") as copy:
        for i in range(20_000):
            copy.write_row((i, f"tab\t{i}" if i % 2 else None, "2024-05-01 12:00+00"))
    print(cursor.rowcount, cursor.statusmessage)
    connection.commit()

    with cursor.copy("copy (select id, name from points order by id limit 5) to stdout") as copy:
        copy.set_types(["int4", "text"])
        print(list(copy.rows()))
    with cursor.copy("copy points to stdout (format binary)") as copy:
        print(sum(len(block) for block in copy))
    connection.commit()

    other.execute("create temporary table clones (like points) on commit drop")
    with other.cursor().copy("copy clones from stdin (format binary)") as sink:
        with cursor.copy("copy points to stdout (format binary)") as source:
            for block in source:
                sink.write(block)
    print(other.execute("select count(*), md5(string_agg(coalesce(name, '-'), '' order by id)) from clones").fetchone())
    other.rollback()
    connection.commit()

    class Trouble(Exception):
        pass

    def breaks(sql, rows, ends_with_trouble=False):
        try:
            with connection.cursor().copy(sql) as copy:
                for row in rows:
                    copy.write_row(row)
                if ends_with_trouble:
                    raise Trouble("our own")
        except (psycopg.Error, Trouble) as error:
            print(type(error).__name__, getattr(error, "sqlstate", None), str(error).splitlines()[0])
        connection.rollback()

    breaks("copy points from stdin", [(70_000, "x", None)], ends_with_trouble=True)
    breaks("copy points from stdin", [(1, "twice", None)] + [(i, "x" * 100, None) for i in range(100_000, 120_000)])
    breaks("copy points from stdin", [("no number", "x", None)])
    breaks("copy nowhere from stdin", [])
    breaks("copy points (id) from stdin (format csv, delimiter 'too long')", [])
    print(connection.execute("select count(*), max(id) from points").fetchone())
    try:
        with connection.cursor().copy("copy (select 10 / (500 - i) from generate_series(1, 1000) i) to stdout") as copy:
            for block in copy:
                pass
    except psycopg.errors.DivisionByZero as error:
        print(error.sqlstate)
    connection.rollback()
    print(connection.execute("select 'alive'").fetchone())
