"""Which sender a configuration gives, and what it never reaches."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.providers.examples import SERVICE, mail, text
from winback.environment import Environment, read_environment
from winback.errors import ConfigError, ProviderConfigError
from winback.policies import Policies
from winback.providers.allow_list import AllowListed
from winback.providers.outgoing import (
    Accepted,
    Busy,
    Outgoing,
    OutgoingEmail,
    OutgoingText,
    Refused,
    Result,
)
from winback.providers.registry import make_senders, open_senders
from winback.settings import BusinessSettings, EmailSender, SenderSettings, Settings, SmsSender
from winback.states import Channel, Mode

KEYS = {
    "WINBACK_SECRET": "s",
    "SENDGRID_API_KEY": "SG.x.y",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "new,old",
}
URLS = {
    "WINBACK_SENDGRID_URL": "http://127.0.0.1:9",
    "WINBACK_TWILIO_URL": "http://127.0.0.1:9",
}


def settings(mode: Mode, *, with_sms: bool = True, allow: tuple[str, ...] = ()) -> Settings:
    """Give settings of a mode."""
    return Settings(
        business=BusinessSettings(
            name="Olive & Oak",
            postal_address="12 Mill Lane, Bristol",
            country="GB",
            time_zone="Europe/London",
            currency="GBP",
        ),
        sender=SenderSettings(
            email=EmailSender(name="Anna", address="anna@example.com"),
            sms=SmsSender(messaging_service=SERVICE) if with_sms else None,
        ),
        mode=mode,
        allow_list=allow,
    )


def environment(home: Path, *given: dict[str, str]) -> Environment:
    """Give an environment with these variables and no others."""
    return read_environment({name: value for one in given for name, value in one.items()}, home)


async def test_each_configured_channel_has_its_sender(tmp_path: Path) -> None:
    """Mails by SendGrid, texts by Twilio; without ``sender.sms`` there are no texts."""
    environ = environment(tmp_path, KEYS, URLS)

    async with open_senders(settings(Mode.SANDBOX), environ) as senders:
        assert {c: s.name for c, s in senders.items()} == {
            Channel.EMAIL: "sendgrid",
            Channel.SMS: "twilio",
        }
        assert all(sender.channel is channel for channel, sender in senders.items())
    async with open_senders(settings(Mode.SANDBOX, with_sms=False), environ) as senders:
        assert set(senders) == {Channel.EMAIL}


def test_the_sandbox_never_reaches_a_real_provider(tmp_path: Path) -> None:
    """Sending to a real provider is never a default: without URLs there is no sender."""
    with pytest.raises(ConfigError, match="sandbox"):
        make_senders(settings(Mode.SANDBOX), environment(tmp_path, KEYS))


async def test_stand_ins_are_lent_with_the_first_message(tmp_path: Path) -> None:
    """In the sandbox nothing is started for nobody; a URL that was given is never lent over."""
    asked: list[str] = []

    def lend() -> Environment:
        asked.append("lent")
        return environment(tmp_path, KEYS, URLS)

    mine = environment(tmp_path, KEYS, {"WINBACK_SENDGRID_URL": URLS["WINBACK_SENDGRID_URL"]})
    async with open_senders(settings(Mode.SANDBOX), mine, lend=lend) as senders:
        assert asked == []
        # Nobody listens on that port: both are tried, and surely not sent.
        results = [await senders[Channel.EMAIL].send(mail())]
        assert asked == []
        results += [await senders[Channel.SMS].send(text()) for _ in range(2)]

    assert asked == ["lent"]
    assert all(isinstance(result, Busy) for result in results)


async def test_a_sender_that_cannot_be_made_has_sent_nothing(tmp_path: Path) -> None:
    """What fails before the call is surely not sent: it waits, and is not in doubt (DS-3)."""

    def lend() -> Environment:
        raise OSError("no port is free")

    async with open_senders(
        settings(Mode.SANDBOX), environment(tmp_path, KEYS), lend=lend
    ) as senders:
        result = await senders[Channel.EMAIL].send(mail())

    assert result == Busy(reason="the sender cannot be made: OSError")


@pytest.mark.parametrize("missing", ["SENDGRID_API_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"])
def test_a_missing_key_is_named(tmp_path: Path, missing: str) -> None:
    """Live without a key is a sentence that names the variable."""
    given = {name: value for name, value in KEYS.items() if name != missing}

    with pytest.raises(ProviderConfigError, match=missing):
        make_senders(settings(Mode.LIVE), environment(tmp_path, given))


class Keeping:
    """A sender that keeps what it is handed."""

    name = "keeping"

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.kept: list[Outgoing] = []

    async def send(self, message: Outgoing) -> Result:
        """Keep it."""
        self.kept.append(message)
        return Accepted("1")

    async def close(self) -> None:
        """Do nothing."""


async def test_mode_test_rewrites_every_recipient() -> None:
    """SEC-25: only those on the allow list are reached; one who is listed stays."""
    allowed = ("+12025550100", "me@example.com", "you@example.com")
    mails, texts = Keeping(Channel.EMAIL), Keeping(Channel.SMS)

    await AllowListed(mails, allowed).send(mail())
    await AllowListed(mails, allowed).send(mail(to_address="You@example.com"))
    await AllowListed(texts, allowed).send(text())

    reached = [m.to_address for m in mails.kept if isinstance(m, OutgoingEmail)]
    reached += [t.to_number for t in texts.kept if isinstance(t, OutgoingText)]
    assert reached == ["me@example.com", "You@example.com", "+12025550100"]
    assert mails.kept[0] == mail(to_address="me@example.com", to_name=None)


async def test_an_empty_allow_list_sends_nothing(tmp_path: Path) -> None:
    """Mode test with nobody listed for a channel refuses, and the channel pauses."""
    async with open_senders(
        settings(Mode.TEST, allow=("me@example.com",)), environment(tmp_path, KEYS, URLS)
    ) as senders:
        result = await senders[Channel.SMS].send(text())

    assert isinstance(result, Refused)
    assert result.scope == "channel"


def test_importing_the_registry_loads_no_vendor() -> None:
    """``winback --help`` pays for no provider's package."""
    loaded = (
        "import sys, winback.providers.registry;"
        "print([m for m in ('sendgrid', 'twilio', 'aiohttp') if m in sys.modules])"
    )

    printed = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "[]"


async def test_as_many_calls_are_open_as_the_setting_lets_fly(tmp_path: Path) -> None:
    """``policies.in_flight`` is the only limit: no pool of connections makes a call wait."""
    at_once = 300
    arrived, all_there = 0, asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await reader.readuntil(b"\r\n\r\n")
        arrived += 1
        if arrived == at_once:
            all_there.set()
        await all_there.wait()
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", backlog=at_once)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    many = settings(Mode.SANDBOX).model_copy(update={"policies": Policies(in_flight=at_once)})
    async with (
        server,
        open_senders(many, environment(tmp_path, KEYS, URLS, {"WINBACK_SENDGRID_URL": url})) as own,
        asyncio.timeout(20),
    ):
        await asyncio.gather(*(own[Channel.EMAIL].send(mail()) for _ in range(at_once)))

    assert arrived == at_once
