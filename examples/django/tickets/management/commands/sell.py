"""Sixty people want two seats each, in forty threads, and there are a hundred seats."""
from concurrent.futures import ThreadPoolExecutor

from django.core.management.base import BaseCommand
from django.db import close_old_connections, connection, transaction
from django.db.models import F

from tickets.models import Booking, Event

SEATS, BUYERS, THREADS = 100, 60, 40


def as_in_a_request(work):
    """Each thread has a connection of its own. As around a request, Django decides before and after the work whether to close it."""

    def run(*arguments):
        close_old_connections()
        try:
            return work(*arguments)
        finally:
            close_old_connections()

    return run


@as_in_a_request
def buy(event, number):
    with transaction.atomic():
        if not Event.objects.filter(pk=event.pk, seats_left__gte=2).update(seats_left=F("seats_left") - 2):
            return False
        Booking.objects.create(event=event, buyer=f"buyer {number}", seats=2)
    return True


@as_in_a_request
def read_seats(event):
    return sum(booking.seats for booking in event.booking_set.iterator(chunk_size=10))


@as_in_a_request
def told(_):
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('timezone')")
        return ", ".join(cursor.fetchone())


class Command(BaseCommand):
    help = "Sells a hundred seats to sixty people at once"

    def handle(self, **options):
        event = Event.objects.create(name="Gala", seats_left=SEATS)
        with ThreadPoolExecutor(THREADS) as threads:
            bought = sum(threads.map(lambda number: buy(event, number), range(BUYERS)))
            read = set(threads.map(read_seats, [event] * BUYERS))
            settings = set(threads.map(told, range(BUYERS)))
        event.refresh_from_db()
        self.stdout.write(f"{bought} of {BUYERS} buyers have seats, {event.seats_left} of {SEATS} seats are left")
        self.stdout.write(f"iterators read {' or '.join(map(str, read))} seats")
        self.stdout.write(f"settings: {' or '.join(sorted(settings))}")
