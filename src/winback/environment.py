"""What the environment of the process says: the home folder, the database, keys and addresses.

Secrets come from here only, and print masked.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from winback.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment says; secrets are masked when printed."""

    home: Path
    database_url: str
    secret: SecretStr
    sendgrid_api_key: SecretStr | None
    twilio_account_sid: str | None
    twilio_auth_tokens: tuple[SecretStr, ...]
    sendgrid_webhook_keys: tuple[str, ...]
    sendgrid_parse_keys: tuple[str, ...]
    sendgrid_url: str | None
    twilio_url: str | None
    prefect_api_url: str | None
    alert_urls: tuple[SecretStr, ...] = ()
    """Where alerts are told, in Apprise's words; they hold secrets."""

    @property
    def var(self) -> Path:
        """The folder of everything that winback itself writes."""
        return self.home / "var"

    @property
    def has_both_urls(self) -> bool:
        """Say whether both providers' URLs are given."""
        return self.sendgrid_url is not None and self.twilio_url is not None

    @property
    def is_loopback(self) -> bool:
        """Say whether both providers' URLs are given and lead to this machine."""
        return all(
            url is not None and _is_loopback(url) for url in (self.sendgrid_url, self.twilio_url)
        )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        # A name that only begins like ours, as 127.0.0.1.example.com, is somebody else's.
        return False


def find_home(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """Give the folder with config/ and templates/: the given one, ``WINBACK_HOME``, else here."""
    return (home or Path(environ.get("WINBACK_HOME") or ".")).resolve()


def work_at_home(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Go to the home folder of this machine: the pull step of every deployment in ``prefect.yaml``.

    It is asked for here, where a run begins: a path in a deployment would be that of the machine
    that deployed, also where Prefect fills it in from the environment. Raises ConfigError where
    the worker was started without a folder to work in.
    """
    if not environ.get("WINBACK_HOME"):
        raise ConfigError(
            "the worker was started without WINBACK_HOME: set it, on each machine, to the path of "
            "that machine's own copy of the project's folder"
        )
    home = find_home(environ)
    if not (home / "flows").is_dir():
        raise ConfigError(
            f"WINBACK_HOME is {home}, and no folder flows is there: it must be the whole path of "
            "this machine's own copy of the project's folder"
        )
    os.chdir(home)
    return {"directory": str(home)}


def read_environment(
    environ: Mapping[str, str] = os.environ, home: Path | None = None
) -> Environment:
    """Read the environment; makes ``var/`` and a kept secret where none is given."""
    home = find_home(environ, home)
    key = environ.get("SENDGRID_API_KEY")
    return Environment(
        home=home,
        database_url=environ.get("WINBACK_DATABASE_URL")
        or f"sqlite:///{home / 'var' / 'winback.db'}",
        secret=SecretStr(environ.get("WINBACK_SECRET") or _kept_secret(home / "var")),
        sendgrid_api_key=SecretStr(key) if key else None,
        twilio_account_sid=environ.get("TWILIO_ACCOUNT_SID") or None,
        twilio_auth_tokens=tuple(map(SecretStr, _listed(environ, "TWILIO_AUTH_TOKEN"))),
        sendgrid_webhook_keys=_listed(environ, "SENDGRID_WEBHOOK_KEYS"),
        sendgrid_parse_keys=_listed(environ, "SENDGRID_PARSE_KEYS"),
        sendgrid_url=environ.get("WINBACK_SENDGRID_URL") or None,
        twilio_url=environ.get("WINBACK_TWILIO_URL") or None,
        prefect_api_url=environ.get("PREFECT_API_URL") or None,
        # Divided by spaces: some of Apprise's URLs hold commas.
        alert_urls=tuple(map(SecretStr, environ.get("WINBACK_ALERT_URLS", "").split())),
    )


def _listed(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in environ.get(name, "").split(",") if part.strip())


def _kept_secret(var: Path) -> str:
    path = var / "secret"
    if not path.exists():
        var.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
