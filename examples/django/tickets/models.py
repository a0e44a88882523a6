"""Events with seats, and who has booked them."""
from django.db import models


class Event(models.Model):
    name = models.TextField()
    seats_left = models.IntegerField()

    class Meta:
        constraints = [models.CheckConstraint(check=models.Q(seats_left__gte=0), name="events_not_oversold")]


class Booking(models.Model):
    event = models.ForeignKey(Event, on_delete=models.CASCADE)
    buyer = models.TextField()
    seats = models.IntegerField()
    booked_at = models.DateTimeField(auto_now_add=True)
