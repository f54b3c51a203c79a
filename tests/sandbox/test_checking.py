"""The online check of keys, against the stand-ins."""

from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from winback.environment import read_environment
from winback.providers.checking import check_credentials
from winback.sandbox.stand_ins import Sandbox


async def test_right_keys_are_accepted(stand: Sandbox, tmp_path: Path) -> None:
    """Both providers know the keys that they gave."""
    lent = stand.lend_to(read_environment({"WINBACK_SECRET": "s"}, tmp_path))

    checks = await check_credentials(lent)

    assert [(check.provider, check.is_ok) for check in checks] == [
        ("SendGrid", True),
        ("Twilio", True),
    ]


async def test_wrong_keys_are_named_but_not_shown(stand: Sandbox, tmp_path: Path) -> None:
    """The sentence names the variable, never its value."""
    lent = stand.lend_to(read_environment({"WINBACK_SECRET": "s"}, tmp_path))
    wrong = replace(
        lent, sendgrid_api_key=SecretStr("SG.wrong"), twilio_auth_tokens=(SecretStr("wrong"),)
    )

    checks = await check_credentials(wrong)

    assert [check.is_ok for check in checks] == [False, False]
    assert "SENDGRID_API_KEY" in checks[0].sentence
    assert "TWILIO_AUTH_TOKEN" in checks[1].sentence
    assert "wrong" not in checks[0].sentence + checks[1].sentence


async def test_keys_that_are_not_given_are_not_asked_about(tmp_path: Path) -> None:
    """Without keys there is nothing to ask."""
    assert await check_credentials(read_environment({"WINBACK_SECRET": "s"}, tmp_path)) == []
