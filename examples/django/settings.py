"""The settings of the project, as far as they concern its database."""
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
        # Connections stay open from request to request: they are clients of pgweir, and cost PostgreSQL nothing.
        "CONN_MAX_AGE": None,
        # A cursor of QuerySet.iterator() outlives its transaction, and is left behind on a server of somebody else.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        # Django SETs this itself, and it follows the client from server to server.
        "TIME_ZONE": "Europe/Berlin",
        # Settings of the session belong here, not into a SET: pgweir gives them to whichever server does the work.
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
