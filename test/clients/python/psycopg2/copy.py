"""copy_expert, copy_from and copy_to, with the errors that can come in the midst of them."""
import io

import psycopg2

connection = psycopg2.connect("")
cursor = connection.cursor()
cursor.execute("create table points (id int primary key, name text)")
cursor.copy_expert("copy points from stdin with csv", io.StringIO("".join(f"{i},\"n,{i}\"\n" for i in range(50_000))))
print(cursor.rowcount)
connection.commit()

out = io.StringIO()
cursor.copy_expert("copy (select * from points where id % 10000 = 0 order by id) to stdout with csv header", out)
print(out.getvalue())
out = io.BytesIO()
cursor.copy_expert("copy points to stdout (format binary)", out)
print(len(out.getvalue()))
out = io.StringIO()
cursor.copy_to(out, "points", columns=("id",))
print(len(out.getvalue().split()))
cursor.copy_from(io.StringIO("60000\t\\N\n60001\tx\n"), "points")
connection.commit()


def fails(action):
    try:
        action()
    except Exception as error:
        code = getattr(error, "pgcode", None)
        print(type(error).__name__, code, str(error).splitlines()[0])
        connection.rollback()


class Broken(io.StringIO):
    """Gives some lines, then breaks."""

    def read(self, size=-1):
        text = super().read(size)
        if not text:
            raise OSError("the file broke")
        return text


fails(lambda: cursor.copy_from(io.StringIO("1\tduplicate\n" + "99999\tmore\n" * 100_000), "points"))
fails(lambda: cursor.copy_from(io.StringIO("no number\tx\n"), "points"))
fails(lambda: cursor.copy_expert("copy points from stdin", Broken("70000\tx\n")))
fails(lambda: cursor.copy_expert("copy nowhere from stdin", io.StringIO("1\n")))
fails(lambda: cursor.copy_expert("copy (select 1 / (5000 - i) from generate_series(1, 9999) i) to stdout", io.StringIO()))
fails(lambda: cursor.execute("copy points from stdin"))
cursor.execute("select count(*), max(id) from points")
print(cursor.fetchall())
connection.close()
