"""The stand-ins in a process of their own do the same, and outlive all but their parent."""

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pytest_httpserver import HTTPServer

from tests.conftest import NOW
from tests.providers.examples import mail, text
from tests.sandbox.receiver import PUBLIC_URL, KeepingReceiver
from winback.clock import SetClock
from winback.errors import WinbackError
from winback.providers.outgoing import Accepted, Sender, Unclear
from winback.providers.sendgrid import SendGridSender, build_mail
from winback.providers.twilio import TwilioSender
from winback.sandbox.faults import Fault, FaultPlan, SelfReports, at_calls
from winback.sandbox.record import Record
from winback.sandbox.stand_ins import MailEvent, Sandbox, TextEvent, stand_ins, stand_ins_apart
from winback.states import EventKind


@pytest.fixture
def apart(tmp_path: Path, clock: SetClock, httpserver: HTTPServer) -> Iterator[Sandbox]:
    """Give stand-ins in a process of their own that report to a receiver."""
    with stand_ins_apart(tmp_path / "sandbox.db", clock=clock, seed=7) as running:
        running.deliver_to(httpserver.url_for(""), PUBLIC_URL)
        yield running


@pytest.fixture
def heard(apart: Sandbox, clock: SetClock, httpserver: HTTPServer) -> KeepingReceiver:
    """Give the receiver of their webhooks."""
    receiver = KeepingReceiver(apart.credentials, clock)
    receiver.listen(httpserver)
    return receiver


def senders(stand: Sandbox, clock: SetClock) -> tuple[Sender, Sender]:
    """Give both senders, led to the stand-ins."""
    known = stand.credentials
    return (
        SendGridSender(known.api_key, clock=clock, base_url=stand.sendgrid_url),
        TwilioSender(known.account_sid, known.auth_token, clock=clock, base_url=stand.twilio_url),
    )


@contextmanager
def process(record: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Run the stand-ins as anybody may; gives the process and what it told at its start."""
    command = [sys.executable, "-m", "winback.sandbox", "--record", str(record), *arguments]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        try:
            yield running, json.loads(running.stdout.readline())
        finally:
            running.kill()


def post_mail(told: dict[str, Any]) -> int:
    """Post a mail with the credentials that were told; gives the status of the answer."""
    request = Request(  # noqa: S310 - loopback
        f"{told['url']}/v3/mail/send",
        json.dumps(build_mail(mail())).encode(),
        {"Authorization": f"Bearer {told['credentials']['api_key']}"},
    )
    with urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
        return int(response.status)


async def test_both_providers_are_one_process_away(
    apart: Sandbox, heard: KeepingReceiver, clock: SetClock
) -> None:
    """What is accepted there is read here; what is ordered here happens there, at our instant."""
    clock.set_to(NOW + timedelta(days=3))
    apart.tell_time(clock.now())
    mails, texts = senders(apart, clock)

    results = [await mails.send(mail()), await texts.send(text())]
    await mails.close()
    await texts.close()
    (kept_mail,), (kept_text,) = apart.record.mails(), apart.record.texts()
    taken = [
        await asyncio.to_thread(apart.report, [MailEvent(kept_mail, "delivered")]),
        await asyncio.to_thread(apart.report_texts, [TextEvent(kept_text.sid, "delivered")]),
        await asyncio.to_thread(apart.text_back, "+12015550123", "STOP"),
    ]

    assert results == [Accepted(kept_mail.message_id), Accepted(kept_text.sid, None)]
    assert kept_mail.at == kept_text.at == clock.now()
    assert taken == [1, 1, True]
    assert [(event.kind, event.send_id) for event in heard.events] == [
        (EventKind.DELIVERED, "send-1"),
        (EventKind.DELIVERED, "send-2"),
        (EventKind.REPLIED, None),
    ]
    assert apart.record.has_stopped("+12015550123")
    assert await asyncio.to_thread(apart.flush) == 0


async def test_a_reply_travels_whole(apart: Sandbox, heard: KeepingReceiver) -> None:
    """SG-31: words, headers and the empty sender of an automatic mail."""
    assert await asyncio.to_thread(
        lambda: apart.mail_back(
            to="reply+tok@reply.example.com",
            from_address="mary@example.com",
            subject="Re: How are you?",
            text="Schön, thank you",
            headers={"Auto-Submitted": "auto-replied"},
            envelope_from="",
        )
    )

    (event,) = heard.events
    assert (event.text, event.extra["envelope_from"]) == ("Schön, thank you", "")
    assert event.extra["headers"]["auto-submitted"] == "auto-replied"


async def test_faults_are_set_from_here(
    apart: Sandbox, heard: KeepingReceiver, clock: SetClock
) -> None:
    """DS-21: accepted without an answer, and reported by the stand-in itself all the same."""
    plan = FaultPlan(
        choose=at_calls({1: Fault.DROP_AFTER}),
        duplicate_webhooks=True,
        reports_by_itself=SelfReports(every_seconds=0.001),
    )
    apart.faults = plan
    mails, texts = senders(apart, clock)

    result = await mails.send(mail())
    await mails.close()
    await texts.close()
    while await asyncio.to_thread(lambda: apart.reports_waiting):
        pass

    assert isinstance(result, Unclear)
    assert apart.faults == plan
    assert apart.calls == len(apart.record.mails()) == 1
    assert [event.kind for event in heard.events] == 2 * [EventKind.ACCEPTED, EventKind.DELIVERED]
    assert 0 < apart.processor_seconds() < 60


def test_mistakes_come_back_as_they_would_from_here(apart: Sandbox) -> None:
    """A wrong order is the caller's mistake in either process, and the stand-ins go on."""
    with pytest.raises(ValueError, match="no text with that sid"):
        apart.report_texts([TextEvent("SM0", "sent")])
    with pytest.raises(ValueError, match="another process"):
        apart.faults = FaultPlan(choose=lambda _call: None)

    assert apart.calls == 0


async def test_strangers_give_no_orders(apart: Sandbox) -> None:
    """Whoever knows the account's secrets, as a worker does, is no master of the stand-ins."""
    for token in ("wrong", apart.credentials.api_key):
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{apart.url}/stand-ins/orders", data=b"{}") as response,
        ):
            assert response.status == 403


def test_a_seed_gives_the_same_secrets_in_either_process(apart: Sandbox, clock: SetClock) -> None:
    """The demo is the same, whichever way its stand-ins run."""
    with stand_ins(clock=clock, seed=7) as within:
        assert within.credentials == apart.credentials


def test_they_end_with_their_parent(tmp_path: Path) -> None:
    """However the parent dies, its end of the pipe is closed, and nothing is left behind."""
    with process(tmp_path / "sandbox.db") as (running, told):
        assert post_mail(told) == 202
        assert running.stdin is not None
        running.stdin.close()

        assert running.wait(20) == 0


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """The record is written before the answer is: promise P1 is judged by it."""
    path = tmp_path / "sandbox.db"
    with process(path) as (running, told):
        statuses = [post_mail(told) for _ in range(3)]
        running.kill()
        running.wait(20)

    with closing(Record(path, is_reader=True)) as record:
        assert statuses == [202] * len(record.mails())


@pytest.mark.parametrize("is_file", [True, False])
def test_they_start_with_faults(tmp_path: Path, *, is_file: bool) -> None:
    """A plan may be given at the start, as JSON or in a file."""
    written = json.dumps({"choose": {"faults": [[1, "error_after"]]}, "latency_seconds": 0.01})
    file = tmp_path / "faults.json"
    file.write_text(written, encoding="utf-8")

    with process(tmp_path / "sandbox.db", "--faults", str(file) if is_file else written) as (
        _,
        told,
    ):
        with pytest.raises(OSError, match="500"):
            post_mail(told)
        assert post_mail(told) == 202


def test_orders_to_nobody_are_a_clear_failure(tmp_path: Path) -> None:
    """Who ended the stand-ins is told that they are gone, each time, and nothing hangs."""
    with stand_ins_apart(tmp_path / "sandbox.db") as stand:
        pass

    for _ in range(2):
        with pytest.raises(WinbackError, match="do not answer"):
            stand.processor_seconds()


def test_a_start_that_fails_is_said(tmp_path: Path) -> None:
    """A port that is taken, a folder that cannot be written: one sentence, not a hanging test."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with (
        pytest.raises(WinbackError, match="did not start"),
        stand_ins_apart(tmp_path / "file" / "sandbox.db"),
    ):
        pass


def self_signed(folder: Path) -> Path:
    """Write a key and a certificate of its own for the loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-ins")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=3650))
        .not_valid_after(NOW + timedelta(days=3650))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, SHA256())
    )
    written = folder / "stand-ins.pem"
    written.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return written


async def test_they_serve_over_tls_to_who_trusts_their_certificate_only(tmp_path: Path) -> None:
    """With a certificate both calls and orders are encrypted, and a stranger's is refused."""
    certificate = self_signed(tmp_path)
    with stand_ins_apart(tmp_path / "sandbox.db", certificate=certificate) as stand:
        assert stand.url.startswith("https://")
        headers = {"Authorization": f"Bearer {stand.credentials.api_key}"}
        trusting = ssl.create_default_context(cafile=certificate)
        async with aiohttp.ClientSession(headers=headers) as client:
            call = partial(client.post, f"{stand.url}/v3/mail/send", json=build_mail(mail()))
            async with call(ssl=trusting) as answer:
                assert answer.status == 202
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await call()
        assert stand.calls == 1
