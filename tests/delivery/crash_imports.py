"""Everything that a process of the crash matrix needs, imported once by the server that forks."""

import alembic.command
import apprise
import psycopg
import sqlalchemy.dialects.postgresql.psycopg
import twilio.rest.api
import uvicorn

import tests.delivery.crash_child
import winback.cli
import winback.delivery.leases
import winback.house
import winback.providers.sendgrid
import winback.providers.twilio
import winback.web.app

winback.cli.make_app()
# It loads its services when the first target is named.
apprise.Apprise().add("json://127.0.0.1")

__all__ = ["alembic", "apprise", "psycopg", "sqlalchemy", "tests", "twilio", "uvicorn", "winback"]
