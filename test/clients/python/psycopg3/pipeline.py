"""Pipeline mode: many statements before the first reply, with errors in the midst of them."""
import logging

import psycopg

# Whether psycopg notices an error before or after it has sent the rest is a matter of luck, and worth a warning to it.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)

with psycopg.connect(autocommit=True) as connection:
    connection.execute("create table numbers (n int primary key, half numeric)")
    with connection.pipeline():
        cursors = [connection.execute("select %s::int * 2", (i,)) for i in range(200)]
        print(sum(cursor.fetchone()[0] for cursor in cursors))

    with connection.pipeline(), connection.transaction():
        for i in range(300):
            connection.execute("insert into numbers values (%s, %s)", (i, i / 2))
    print(connection.execute("select count(*), sum(half) from numbers").fetchone())

    cursor = connection.cursor()
    cursor.executemany("insert into numbers values (%s, %s) returning n", [(i, 0) for i in range(1000, 1500)], returning=True)
    returned = []
    while True:
        returned.append(cursor.fetchone()[0])
        if not cursor.nextset():
            break
    print(len(returned), returned[0], returned[-1], cursor.rowcount)

    # One fails, and with it all up to the next sync: what was before it in its transaction, and what is behind it.
    try:
        with connection.pipeline() as pipeline:
            first = connection.execute("select 'first'")
            pipeline.sync()
            connection.execute("insert into numbers values (7001, 0)")
            connection.execute("select 1 / %s::int", (0,))
            connection.execute("insert into numbers values (7002, 0)")
            pipeline.sync()
    except psycopg.errors.DivisionByZero as error:
        print(error.sqlstate, first.fetchone())
    print(connection.execute("select count(*) from numbers where n > 7000").fetchone())

    for turn in range(3):
        try:
            with connection.pipeline(), connection.transaction():
                connection.execute("insert into numbers values (%s, %s)", (5000 + turn, 0))
                connection.execute("insert into numbers values (%s, %s)", (0, 0))
                connection.execute("insert into numbers values (%s, %s)", (6000 + turn, 0))
        except psycopg.errors.UniqueViolation as error:
            print(error.diag.constraint_name, connection.info.transaction_status.name)
    print(connection.execute("select count(*) from numbers where n >= 5000").fetchone())

    # Several syncs under way, each a transaction of its own; statements are prepared in the midst of them.
    connection.prepare_threshold = 1
    with connection.pipeline() as pipeline:
        results = []
        for i in range(50):
            results.append(connection.execute("select %s::int, count(*) from numbers where n < %s", (i, i)))
            if i % 7 == 0:
                pipeline.sync()
        assert [cursor.fetchone() for cursor in results] == [(i, i) for i in range(50)]
    print("in order")

    # A big pipeline, whose replies do not fit into any socket while it is being sent.
    with connection.pipeline():
        results = [connection.execute("select %s::int, repeat('x', 20000)", (i,)) for i in range(500)]
        assert [cursor.fetchone()[0] for cursor in results] == list(range(500))
    print(connection.execute("select 'alive'").fetchone())
