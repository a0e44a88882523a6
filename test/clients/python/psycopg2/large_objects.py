"""Large objects: libpq calls functions of the server by the protocol's FunctionCall."""
import psycopg2

connection = psycopg2.connect("")
lobject = connection.lobject(0, "wb")
oid = lobject.oid
for i in range(10):
    lobject.write(bytes([i]) * 50_000)
lobject.close()
connection.commit()

lobject = connection.lobject(oid, "rb")
print(lobject.seek(0, 2), lobject.tell(), lobject.seek(123_456), lobject.read(3))
lobject.close()
connection.rollback()

lobject = connection.lobject(oid, "rw")
lobject.truncate(100)
print(len(lobject.read()))
connection.commit()
connection.lobject(oid, "n").unlink()
connection.commit()
try:
    connection.lobject(oid, "rb")
except psycopg2.Error as error:
    print(type(error).__name__)
connection.rollback()
with connection.cursor() as cursor:
    cursor.execute("select count(*) from pg_largeobject_metadata where oid = %s", (oid,))
    print(cursor.fetchone())
connection.close()
