"""``winback check --online``: each part answers for itself with a sentence."""

from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from winback.cli.online import Part, Resolve, look_outside
from winback.environment import read_environment
from winback.providers.sendgrid_lists import LISTS
from winback.settings import load_settings

HERE = Path(__file__).parents[2]
SID = "AC" + "0" * 32
RECORDS = {
    ("example.com", "TXT"): ["v=spf1 include:sendgrid.net ~all", "other"],
    ("s1._domainkey.example.com", "TXT"): ["k=rsa; p=MIGf"],
    ("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none"],
    ("reply.example.com", "MX"): ["10 mx.sendgrid.net."],
}


def resolver(records: dict[tuple[str, str], list[str]]) -> Resolve:
    """Give a resolver that knows these records."""
    return lambda name, kind: records.get((name, kind), [])


def looked(
    server: HTTPServer,
    tmp_path: Path,
    *,
    records: dict[tuple[str, str], list[str]] | None = None,
    unset: str = "",
    sendgrid: str = "",
) -> dict[str, Part]:
    """Look outside, where the outside is a server on this machine."""
    settings = load_settings(HERE)
    url = server.url_for("").rstrip("/")
    given = {
        "SENDGRID_API_KEY": "SG.secret",
        "TWILIO_ACCOUNT_SID": SID,
        "TWILIO_AUTH_TOKEN": "secret",
        "SENDGRID_WEBHOOK_KEYS": "MFk=",
        "WINBACK_SENDGRID_URL": url,
        "WINBACK_TWILIO_URL": url,
        "PREFECT_API_URL": f"{url}/api",
    } | {unset: ""}
    if sendgrid:
        given["WINBACK_SENDGRID_URL"] = sendgrid
    environment = read_environment(given, tmp_path)
    here = settings.model_copy(update={"public_url": url})
    parts = look_outside(here, environment, resolver(RECORDS if records is None else records))
    return {part.what: part for part in parts}


def answering(server: HTTPServer) -> None:
    """Let the server answer as the outside does when all is well."""
    server.expect_request(
        "/v3/scopes", headers={"Authorization": "Bearer SG.secret"}
    ).respond_with_json({"scopes": ["mail.send"]})
    server.expect_request(f"/2010-04-01/Accounts/{SID}.json").respond_with_json(
        {"status": "active"}
    )
    for one in LISTS.values():
        server.expect_request(one.path).respond_with_json([])
    server.expect_request("/health").respond_with_json({"status": "ok"})
    server.expect_request("/api/flow_runs/count", method="POST").respond_with_json(7)


def test_when_all_is_well_every_part_is_ok(httpserver: HTTPServer, tmp_path: Path) -> None:
    """Keys, SPF, DKIM and DMARC (FACTS.md LAW-17), webhooks, replies, schedules."""
    answering(httpserver)

    parts = looked(httpserver, tmp_path)

    assert {what: part.is_ok for what, part in parts.items()} == dict.fromkeys(
        (
            *("SendGrid key", "Twilio key", "SendGrid lists", "SPF", "DKIM", "DMARC"),
            *("webhooks", "replies", "schedules"),
        ),
        True,
    )
    assert parts["schedules"].says == "7 runs are scheduled"


def test_when_nothing_is_there_every_part_says_what_to_do(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    """One failing part keeps no other from being asked, and no key is shown."""
    httpserver.expect_request("/v3/scopes").respond_with_data("", status=401)
    httpserver.expect_request(f"/2010-04-01/Accounts/{SID}.json").respond_with_data("", status=401)
    httpserver.expect_request("/health").respond_with_data("", status=502)
    httpserver.expect_request("/api/flow_runs/count").respond_with_json(0)

    parts = looked(httpserver, tmp_path, records={})

    assert not any(part.is_ok for part in parts.values())
    assert "make a new key" in parts["SendGrid key"].says
    assert "make a new key" in parts["Twilio key"].says
    assert "set its MX to mx.sendgrid.net" in parts["replies"].says
    assert "prefect deploy --all" in parts["schedules"].says
    assert "secret" not in " ".join(part.says for part in parts.values())


@pytest.mark.parametrize(
    ("name", "what", "says"),
    [
        ("SENDGRID_API_KEY", "SendGrid key", "set SENDGRID_API_KEY"),
        ("TWILIO_ACCOUNT_SID", "Twilio key", "set TWILIO_ACCOUNT_SID"),
        ("SENDGRID_WEBHOOK_KEYS", "webhooks", "SENDGRID_WEBHOOK_KEYS is not set"),
        ("PREFECT_API_URL", "schedules", "PREFECT_API_URL is not set"),
    ],
)
def test_what_is_not_set_is_named(
    httpserver: HTTPServer, tmp_path: Path, name: str, *, what: str, says: str
) -> None:
    """The sentence names the variable."""
    answering(httpserver)

    part = looked(httpserver, tmp_path, unset=name)[what]

    assert not part.is_ok
    assert says in part.says


def test_a_host_that_does_not_answer_is_told(httpserver: HTTPServer, tmp_path: Path) -> None:
    """Nothing is raised; the sentence says so."""
    answering(httpserver)

    part = looked(httpserver, tmp_path, sendgrid="http://127.0.0.1:9")["SendGrid key"]

    assert not part.is_ok
    assert "cannot be reached" in part.says


def test_a_key_that_may_not_read_lists_is_told_before_the_first_day(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    """SG-40: which lists, and what to do; a list that fails for another reason says so."""
    httpserver.expect_request(LISTS["groups"].path).respond_with_data("", status=403)
    answering(httpserver)
    refused = looked(httpserver, tmp_path)
    httpserver.clear()
    httpserver.expect_request(LISTS["bounces"].path).respond_with_data("", status=500)
    answering(httpserver)
    away = looked(httpserver, tmp_path)

    assert not refused["SendGrid lists"].is_ok
    assert "the key may not read groups; give it read access" in refused["SendGrid lists"].says
    assert (away["SendGrid lists"].is_ok, away["SendGrid lists"].says) == (
        False,
        "bounces: SendGrid answered 500",
    )
    assert refused["SendGrid key"].is_ok


def test_two_spf_records_are_none(httpserver: HTTPServer, tmp_path: Path) -> None:
    """More than one record is an error to every receiver; DMARC may stand on the parent."""
    answering(httpserver)
    twice = RECORDS | {("example.com", "TXT"): ["v=spf1 -all", "v=spf1 ~all"]}

    assert "only one counts" in looked(httpserver, tmp_path, records=twice)["SPF"].says
