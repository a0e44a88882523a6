"""Events with seats, and their bookings."""
from django.db import models


class Event(models.Model):
    name = models.TextField()
    seats_left = models.PositiveIntegerField()


class Booking(models.Model):
    event = models.ForeignKey(Event, on_delete=models.CASCADE)
    buyer = models.TextField()
    seats = models.IntegerField()
    booked_at = models.DateTimeField(auto_now_add=True)
