"""A process that queues, sends and records mails with django-post-office, and says what it took.

    python benchmarks/peer_worker.py DATABASE_URL PAYLOADS COUNT SMTP_PORT THREADS later|now

The mails are winback's own: one of its payloads becomes subject, text and HTML template, its links
and the name are filled in for each mail. ``later`` renders on delivery, ``now`` when it is queued.
"""

import json
import logging
import re
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import django
import orjson
from django.conf import settings
from django.core.management import call_command
from sqlalchemy import make_url

BATCH = 1_000
_LINK = re.compile(r"https://win\.example\.com/[^\"'\s<>)]+")
_NAME = "Ann"


def database(url: str) -> dict[str, Any]:
    """Say in Django's words where the database is; SQLite keeps a log ahead, as winback's does."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        ahead = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"
        options = {"init_command": ahead, "transaction_mode": "IMMEDIATE"}
        engine = "django.db.backends.sqlite3"
        return {"ENGINE": engine, "NAME": parts.database, "OPTIONS": options}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.database,
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        "HOST": parts.host or parts.query.get("host", ""),
        "PORT": str(parts.port or ""),
    }


def set_up(url: str, port: int, threads: int) -> None:
    """Make the tables."""
    settings.configure(
        DATABASES={"default": database(url)},
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        POST_OFFICE={
            "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
            "BATCH_SIZE": BATCH,
            "THREADS_PER_PROCESS": threads,
        },
        LOGGING_CONFIG=None,
    )
    django.setup()
    # It tells of every mail at INFO otherwise.
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)


def template_of(payload: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Make a template of one mail, and what is filled in."""
    links: dict[str, str] = {}

    def placeholder(found: re.Match[str]) -> str:
        name = links.setdefault(found[0], f"link{len(links)}")
        return f"{{{{ {name} }}}}"

    def made(written: str) -> str:
        return _LINK.sub(placeholder, written).replace(_NAME, "{{ name }}")

    text, html = (part["value"] for part in payload["content"])
    words = {
        "subject": made(payload["subject"]),
        "content": made(text),
        "html_content": made(html),
    }
    return words, {name: link for link, name in links.items()} | {"name": _NAME}


def queue(payload: dict[str, Any], count: int, *, is_later: bool) -> None:
    """Queue so many mails."""
    from post_office import mail  # noqa: PLC0415 - after Django is set up
    from post_office.models import EmailTemplate  # noqa: PLC0415 - the same

    words, context = template_of(payload)
    template = EmailTemplate.objects.create(name="check-in", **words)
    for first in range(0, count, BATCH):
        mail.send_many(
            [
                {
                    "recipients": f"ann.{number}@example.com",
                    "sender": payload["from"]["email"],
                    "template": template,
                    "context": context,
                    "headers": payload["headers"],
                    "render_on_delivery": is_later,
                }
                for number in range(first, min(first + BATCH, count))
            ]
        )


def send(count: int) -> None:
    """Send all that is queued, and see that it is recorded."""
    from post_office import mail  # noqa: PLC0415 - after Django is set up
    from post_office.models import STATUS, Email, Log  # noqa: PLC0415 - the same

    sent = 0
    while sent < count:
        taken, failed, again = mail.send_queued(processes=1)
        assert taken
        assert not failed
        assert not again
        sent += taken
    assert Email.objects.filter(status=STATUS.sent).count() == count
    assert Log.objects.count() == count


def main() -> None:
    """Say that the tables are there, wait for a line, queue and send, say what it took."""
    url, file, written, port, threads, when = sys.argv[1:]
    count = int(written)
    set_up(url, int(port), int(threads))
    payload = orjson.loads(Path(file).read_bytes().split(b"\n")[0])
    print(json.dumps({"version": django.get_version()}), flush=True)
    sys.stdin.readline()
    wall, own = perf_counter(), process_time()
    queue(payload, count, is_later=when == "later")
    queued = perf_counter() - wall
    send(count)
    found = {"seconds": perf_counter() - wall, "queued": queued, "own": process_time() - own}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
