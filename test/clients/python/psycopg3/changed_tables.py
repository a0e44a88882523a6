"""A prepared statement of one client, whose table another client changes."""
import psycopg

SQL = "select * from things"


def look(reader):
    try:
        print(reader.execute(SQL, prepare=True).fetchall())
    except psycopg.errors.FeatureNotSupported:
        # "cached plan must not change result type": PostgreSQL itself cannot do better here, a pooler may.
        print(reader.execute(SQL, prepare=False).fetchall())


with psycopg.connect(autocommit=True) as owner:
    owner.execute("create table things (id int)")
    owner.execute("insert into things values (1)")
    for change in ("add column a text default 'x'", "alter column id type text", "drop column a"):
        with psycopg.connect(autocommit=True) as reader:
            look(reader)
            owner.execute(f"alter table things {change}")
            look(reader)
    with psycopg.connect(autocommit=True) as reader:
        print(reader.execute("insert into things values (%s) returning *", ("one",), prepare=True).fetchall())
        owner.execute("drop table things")
        owner.execute("create table things (id date)")
    with psycopg.connect(autocommit=True) as reader:
        # The same text, whose parameter is of another type by now.
        print(reader.execute("insert into things values (%s) returning *", ("2024-05-01",), prepare=True).fetchall())
