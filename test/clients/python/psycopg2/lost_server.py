"""A server that an administrator ends: PostgreSQL's own last word reaches the client, and a new connection works."""
import psycopg2

connection = psycopg2.connect("")
cursor = connection.cursor()
cursor.execute("select 1")
try:
    cursor.execute("select pg_terminate_backend(pg_backend_pid())")
except psycopg2.Error as error:
    print(type(error).__name__, error.pgcode, str(error).splitlines()[:2], connection.closed)
connection = psycopg2.connect("")
cursor = connection.cursor()
cursor.execute("select 'back'")
print(cursor.fetchone())
connection.close()
