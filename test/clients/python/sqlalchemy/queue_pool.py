"""QueuePool with pool_pre_ping: threads share connections, and those whose server an administrator ended are replaced."""
import sys
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

THREADS, ROUNDS = 30, 10
engine = create_engine(sys.argv[1], poolclass=QueuePool, pool_size=10, max_overflow=10, pool_timeout=60, pool_pre_ping=True)


def work(number):
    for turn in range(ROUNDS):
        with engine.begin() as connection:
            row = connection.execute(text("select :number, :turn"), {"number": number, "turn": turn}).one()
            assert tuple(row) == (number, turn), row
            connection.execute(text("update counters set value = value + 1 where id = :id"), {"id": number % 5})
            if turn % 5 == 4:
                connection.execute(text("savepoint here"))
                try:
                    connection.execute(text("select 1 / 0"))
                except DBAPIError:
                    connection.execute(text("rollback to savepoint here"))
    return number


with engine.begin() as connection:
    connection.execute(text("create table counters (id int primary key, value int not null)"))
    connection.execute(text("insert into counters select i, 0 from generate_series(0, 4) i"))
with ThreadPoolExecutor(THREADS) as executor:
    print(sum(executor.map(work, range(THREADS))))
with engine.connect() as connection:
    print(connection.execute(text("select sum(value) from counters")).scalar())

# An administrator ends all servers of this database: nobody who asks afterwards notices.
with engine.connect() as connection:
    connection.execute(text("select 1"))
administrator = create_engine(sys.argv[1], poolclass=QueuePool, pool_size=1)
with administrator.connect() as connection:
    connection.execute(text(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    ))
with ThreadPoolExecutor(THREADS) as executor:
    print(sum(executor.map(work, range(THREADS))))
with engine.connect() as connection:
    print(connection.execute(text("select sum(value) from counters")).scalar())
engine.dispose()
administrator.dispose()
