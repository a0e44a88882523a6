"""The project's settings, limited to those that concern its database."""
import os
from urllib.parse import unquote, urlsplit

url = urlsplit(os.environ["DATABASE_URL"])

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": url.hostname,
        "PORT": url.port,
        "NAME": url.path[1:],
        "USER": unquote(url.username),
        "PASSWORD": unquote(url.password),
        # Keep connections open between requests: they are clients of pgweir, and cost PostgreSQL nothing.
        "CONN_MAX_AGE": None,
        # The cursor of QuerySet.iterator() would outlive its transaction, and stay behind on a server that another client gets.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        # Django SETs this itself, and it follows the client from server to server.
        "TIME_ZONE": "Europe/Berlin",
        # Give session settings here, not with SET: pgweir applies them to each server that works for this client.
        "OPTIONS": {
            "application_name": "tickets",
            "options": "-c statement_timeout=30s -c lock_timeout=20s",
        },
    }
}

INSTALLED_APPS = ["tickets"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "an example has none"
USE_TZ = True
