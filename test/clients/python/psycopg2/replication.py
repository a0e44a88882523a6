"""A follower in Python: a slot of its own, a stream that is read and reported on, and the end of it."""
import psycopg2
from psycopg2.extras import LogicalReplicationConnection, PhysicalReplicationConnection, StopReplication

writer = psycopg2.connect("")
writer.autocommit = True
changes = writer.cursor()
changes.execute("create table followed (id int primary key, text text)")

follower = psycopg2.connect("", connection_factory=LogicalReplicationConnection)
cursor = follower.cursor()
cursor.execute("select current_database() = current_setting('search_path') or true")
print(cursor.fetchone())
cursor.create_replication_slot("python", output_plugin="test_decoding")
cursor.start_replication("python", decode=True, options={"include-xids": "0", "skip-empty-xacts": "1"})
for number in range(3):
    changes.execute("insert into followed values (%s, %s)", (number, "x" * number))


def consume(message):
    print(message.payload)
    message.cursor.send_feedback(flush_lsn=message.data_start)
    if "id[integer]:2" in message.payload:
        raise StopReplication()


try:
    cursor.consume_stream(consume)
except StopReplication:
    print("stopped")
follower.close()

again = psycopg2.connect("", connection_factory=LogicalReplicationConnection)
# The one before may still be leaving.
again.cursor().execute("DROP_REPLICATION_SLOT python WAIT")
again.close()
changes.execute("select count(*) from pg_replication_slots")
print(changes.fetchone())

physical = psycopg2.connect("", connection_factory=PhysicalReplicationConnection)
cursor = physical.cursor()
cursor.execute("IDENTIFY_SYSTEM")
print(len(cursor.fetchone()))
physical.close()
