"""Sixty people want two seats each, in forty threads, and there are a hundred seats."""
from concurrent.futures import ThreadPoolExecutor

from database import Base, Booking, Event, engine, job_engine
from sqlalchemy import select, text
from sqlalchemy.orm import Session

SEATS, BUYERS, THREADS = 100, 60, 40


def buy(event_id, buyer):
    # This is one transaction, so all of it runs on one server.
    with Session(engine) as session, session.begin():
        event = session.get(Event, event_id, with_for_update=True)
        if event.seats_left < 2:
            return False
        event.seats_left -= 2
        session.add(Booking(event_id=event_id, buyer=buyer, seats=2))
    return True


def timeouts(_):
    with job_engine.connect() as connection:
        return connection.scalar(text("select concat_ws(', ', current_setting('statement_timeout'), current_setting('lock_timeout'))"))


Base.metadata.create_all(engine)
with Session(engine) as session, session.begin():
    event = Event(name="Gala", seats_left=SEATS)
    session.add(event)
    session.flush()
    event_id = event.id

with ThreadPoolExecutor(THREADS) as executor:
    bought = sum(executor.map(lambda number: buy(event_id, f"buyer {number}"), range(BUYERS)))
with Session(engine) as session:
    left = session.get(Event, event_id).seats_left
print(f"{bought} of {BUYERS} buyers have seats, {left} of {SEATS} seats are left")

# A job reads the bookings a few at a time. Its cursor needs a transaction, which keeps its server.
with Session(job_engine) as session:
    bookings = session.scalars(select(Booking).where(Booking.event_id == event_id).execution_options(yield_per=10))
    print(f"a job reads {sum(booking.seats for booking in bookings)} seats")
with ThreadPoolExecutor(THREADS) as executor:
    print("timeouts:", " or ".join(sorted(set(executor.map(timeouts, range(BUYERS))))))
