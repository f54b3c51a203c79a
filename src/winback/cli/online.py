"""What only the outside knows: keys, DNS, routes back to us, schedules (``check --online``).

Every part answers for itself with a sentence; one that fails keeps no other from being asked.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import dns.exception
import dns.resolver

from winback.clock import SystemClock
from winback.environment import Environment
from winback.providers.checking import check_credentials, check_lists
from winback.settings import Settings

_PATIENCE_SECONDS: Final = 10
_SELECTORS: Final = ("s1", "s2")
"""The DKIM selectors of SendGrid's domain authentication (checked 2026-03)."""
_REPLIES_GO_TO: Final = "mx.sendgrid.net"

Resolve = Callable[[str, str], list[str]]
"""Name and record type in, the records as text out; an empty list where there are none."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that was looked at."""

    what: str
    is_ok: bool
    says: str


class _Unreachable(Exception):
    """Nothing answered; the text says what happened."""


def look_outside(
    settings: Settings, environment: Environment, resolve: Resolve | None = None
) -> list[Part]:
    """Ask providers, DNS, our own public address and Prefect; never raises for what they say."""
    resolve = resolve or _resolve
    domain = settings.sender.email.address.rsplit("@", 1)[1]
    return [
        *_keys(settings, environment),
        *_lists(environment),
        *_dns(domain, resolve),
        _webhooks(settings, environment),
        _reply_route(settings, resolve),
        _schedules(environment),
    ]


def _keys(settings: Settings, environment: Environment) -> Iterator[Part]:
    checks = {check.provider: check for check in asyncio.run(check_credentials(environment))}
    wanted = {"SendGrid": "SENDGRID_API_KEY"}
    if settings.sender.sms is not None:
        wanted["Twilio"] = "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
    for provider, names in wanted.items():
        what = f"{provider} key"
        if check := checks.get(provider):
            yield Part(what, is_ok=check.is_ok, says=check.sentence)
        else:
            yield Part(what, is_ok=False, says=f"set {names} in the environment")


def _lists(environment: Environment) -> Iterator[Part]:
    """Whether SendGrid's own lists can be taken over; without a key that is told already."""
    check = asyncio.run(check_lists(environment, now=SystemClock().now()))
    if check is not None:
        yield Part(check.provider, is_ok=check.is_ok, says=check.sentence)


def _dns(domain: str, resolve: Resolve) -> Iterator[Part]:
    """SPF, DKIM and DMARC of the From domain (FACTS.md LAW-17)."""
    spf = [text for text in resolve(domain, "TXT") if text.lower().startswith("v=spf1")]
    match len(spf):
        case 1:
            yield Part("SPF", is_ok=True, says=f"{domain} has its record")
        case 0:
            yield Part("SPF", is_ok=False, says=f"{domain} has no TXT record that begins v=spf1")
        case count:
            says = f"{domain} has {count} records that begin v=spf1; only one counts"
            yield Part("SPF", is_ok=False, says=says)
    signed = [one for one in _SELECTORS if resolve(f"{one}._domainkey.{domain}", "TXT")]
    yield Part(
        "DKIM",
        is_ok=bool(signed),
        says=f"{signed[0]}._domainkey.{domain} holds a key"
        if signed
        else f"no key under s1._domainkey.{domain}; authenticate the domain at SendGrid",
    )
    policies = [
        text
        for name in _up_from(domain)
        for text in resolve(f"_dmarc.{name}", "TXT")
        if text.lower().startswith("v=dmarc1")
    ]
    yield Part(
        "DMARC",
        is_ok=bool(policies),
        says=f"{domain} is covered"
        if policies
        else f"no TXT record under _dmarc.{domain}; at least v=DMARC1; p=none",
    )


def _webhooks(settings: Settings, environment: Environment) -> Part:
    what = "webhooks"
    if not environment.sendgrid_webhook_keys:
        says = "SENDGRID_WEBHOOK_KEYS is not set, so SendGrid's events would be refused"
        return Part(what, is_ok=False, says=says)
    url = f"{settings.base_url}/health"
    try:
        status, _ = _get(url)
    except _Unreachable as why:
        return Part(what, is_ok=False, says=f"{why}; is winback serve running there?")
    is_ok = status == 200  # noqa: PLR2004 - HTTP's word for yes
    return Part(what, is_ok=is_ok, says=f"{url} answers {status}")


def _reply_route(settings: Settings, resolve: Resolve) -> Part:
    what, domain = "replies", settings.sender.email.reply_domain
    if domain is None:
        return Part(what, is_ok=True, says="no reply_domain; people read them in their mailbox")
    hosts = [text.split()[-1].rstrip(".").lower() for text in resolve(domain, "MX")]
    if _REPLIES_GO_TO in hosts:
        return Part(what, is_ok=True, says=f"{domain} leads to SendGrid's inbound parse")
    found = f"leads to {hosts[0]}" if hosts else "has no MX record"
    return Part(what, is_ok=False, says=f"{domain} {found}; set its MX to {_REPLIES_GO_TO}")


def _schedules(environment: Environment) -> Part:
    what = "schedules"
    if environment.prefect_api_url is None:
        says = "PREFECT_API_URL is not set; something else must call winback run each day"
        return Part(what, is_ok=False, says=says)
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    try:
        status, count = _get(f"{environment.prefect_api_url.rstrip('/')}/flow_runs/count", wanted)
    except _Unreachable as why:
        return Part(what, is_ok=False, says=str(why))
    if status != 200 or not isinstance(count, int):  # noqa: PLR2004 - HTTP's word for yes
        return Part(what, is_ok=False, says=f"Prefect answers {status}")
    says = f"{count} runs are scheduled" if count else "no run is scheduled; prefect deploy --all"
    return Part(what, is_ok=count > 0, says=says)


def _get(url: str, posted: Any = None) -> tuple[int, Any]:
    """Ask one address; give its status and its JSON, None where it sent none.

    Raises _Unreachable with the host and the reason.
    """
    body = None if posted is None else json.dumps(posted).encode()
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    host = urlsplit(url).netloc
    try:
        request = Request(url, data=body, headers=headers)  # noqa: S310 - the operator's setting
        with urlopen(request, timeout=_PATIENCE_SECONDS) as reply:  # noqa: S310
            return reply.status, _json(reply.read())
    except HTTPError as refused:
        with refused:
            return refused.code, None
    except (URLError, OSError, ValueError) as why:
        reason = getattr(why, "reason", None) or why
        raise _Unreachable(f"{host} cannot be reached: {reason}") from None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _up_from(domain: str) -> Iterator[str]:
    """Give the domain and those above it, without the top level."""
    labels = domain.split(".")
    for start in range(len(labels) - 1):
        yield ".".join(labels[start:])


def _resolve(name: str, kind: str) -> list[str]:
    try:
        answer = dns.resolver.resolve(name, kind, lifetime=_PATIENCE_SECONDS)
    except dns.exception.DNSException:
        return []
    if kind == "TXT":
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
    return [record.to_text() for record in answer]
