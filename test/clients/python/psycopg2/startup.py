"""What a connection string asks for holds for each of its queries, and for nobody else's."""
import psycopg2
import psycopg2.errors

settings = ["search_path", "statement_timeout", "application_name", "timezone", "datestyle", "client_encoding", "work_mem"]


def look(cursor):
    cursor.execute("select " + ", ".join(f"current_setting('{name}')" for name in settings))
    print(cursor.fetchone())


one = psycopg2.connect(
    options="-c search_path=one,public -c statement_timeout=400 -c work_mem=5MB -c timezone=Asia/Tokyo",
    application_name="the first",
    client_encoding="LATIN1",
)
two = psycopg2.connect(options="-c search_path=two -c datestyle=German", application_name="the second")
plain = psycopg2.connect("")
for connection in (one, two, plain):
    connection.autocommit = True
for _ in range(3):
    for connection in (one, two, plain):
        look(connection.cursor())
try:
    one.cursor().execute("select pg_sleep(30)")
except psycopg2.errors.QueryCanceled as error:
    print(str(error).strip())
plain.cursor().execute("select pg_sleep(0.5)")
look(plain.cursor())

for wrong in ("-c statement_timeout=soon", "-c nothing.like.it=", "-c no_such_setting=1", "-c timezone=Nowhere/Land"):
    try:
        psycopg2.connect(options=wrong)
        print(wrong, "is taken")
    except psycopg2.OperationalError as error:
        print(str(error).strip().split("failed: ", 1)[1])
