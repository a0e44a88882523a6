"""The application's engines and tables."""
import os

from sqlalchemy import Column, ForeignKey, Integer, Text, create_engine
from sqlalchemy.orm import declarative_base
from sqlalchemy.pool import NullPool

URL = os.environ["DATABASE_URL"].replace("postgres://", "postgresql+psycopg2://", 1)

# Give session settings here, not with SET: pgweir applies them to each server that works for this client.
SETTINGS = {"application_name": "tickets", "options": "-c statement_timeout=30s -c lock_timeout=20s"}

# For web processes: one connection per thread. They are clients of pgweir, and cost PostgreSQL nothing.
engine = create_engine(URL, pool_size=40, max_overflow=0, connect_args=SETTINGS)

# For jobs, and for many or short-lived processes: pgweir is the only pool, and a connection is closed when its work is done.
job_engine = create_engine(URL, poolclass=NullPool, connect_args=SETTINGS)

Base = declarative_base()


class Event(Base):
    __tablename__ = "events"
    id = Column(Integer, primary_key=True)
    name = Column(Text, nullable=False)
    seats_left = Column(Integer, nullable=False)


class Booking(Base):
    __tablename__ = "bookings"
    id = Column(Integer, primary_key=True)
    event_id = Column(ForeignKey("events.id"), nullable=False)
    buyer = Column(Text, nullable=False)
    seats = Column(Integer, nullable=False)
