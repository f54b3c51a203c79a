"""``winback check`` for settings, facts and campaigns: every mistake of all files at once.

A mistake keeps winback from starting; a notice is right as it stands, but leaves something open.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from winback.campaign.loading import load_campaigns, load_facts
from winback.campaign.references import messages_in
from winback.campaign.schema import Campaign
from winback.errors import ConfigError, FileMistakes, Mistake
from winback.settings import Settings, load_settings
from winback.states import Channel, Mode
from winback.yaml_files import Place, line_of, read_repeating

SUFFIXES: Final = {
    Channel.EMAIL: ("mjml", "html"),
    Channel.SMS: ("sms",),
    Channel.CALL: ("call",),
    Channel.LETTER: ("letter",),
}
"""The endings of the template files of each channel."""


def check_home(home: Path) -> list[Mistake]:
    """Give every mistake of settings, facts and campaigns, and every template that is missing."""
    mistakes: list[Mistake] = []
    for load in (load_settings, load_facts, load_campaigns):
        try:
            load(home)
        except FileMistakes as found:
            mistakes += found.mistakes
        except ConfigError as found:
            mistakes.append(Mistake("config/winback.yaml", 1, str(found)))
    return sorted([*mistakes, *missing_templates(home)])


def missing_templates(home: Path) -> Iterator[Mistake]:
    """Give a mistake for every template that a campaign names and no file holds."""
    for path in sorted((home / "config" / "campaigns").glob("*.yaml")):
        shown_as = f"config/campaigns/{path.name}"
        try:
            written, lines, _ = read_repeating(path, shown_as)
        except FileMistakes:
            continue
        campaign = written.get("campaign") if isinstance(written, dict) else None
        if not isinstance(campaign, str):
            continue
        for place, message in messages_in(written):
            yield from _missing(home, campaign, message, place=place, lines=lines, file=shown_as)


def notices(settings: Settings, campaigns: Sequence[Campaign]) -> list[str]:
    """Give what is no mistake, but what the owner should know."""
    found = [*_notices_of_settings(settings)]
    for campaign in campaigns:
        found += [f"{campaign.campaign}: {notice}" for notice in _notices_of(campaign, settings)]
    return found


def _missing(
    home: Path,
    campaign: str,
    message: Any,
    *,
    place: Place,
    lines: dict[Place, int],
    file: str,
) -> Iterator[Mistake]:
    template = message.get("template")
    if not isinstance(template, str):
        return
    line = line_of(lines, (*place, "template"))
    folder = home / "templates" / campaign
    written = {message.get("channel", "email"), message.get("otherwise")}
    for channel, suffixes in SUFFIXES.items():
        # A translation or a variant alone is none: somebody's locale would find nothing.
        if channel.value in written and not any(
            (folder / f"{template}.{suffix}").is_file() for suffix in suffixes
        ):
            name = f"templates/{campaign}/{template}.{suffixes[0]}"
            yield Mistake(file, line, f"there is no {name}", "write it, or name another template")


def _notices_of_settings(settings: Settings) -> Iterator[str]:
    business, sender = settings.business, settings.sender
    if sender.email.reply_domain is None:
        to = "support_email" if business.support_email else f"the sender, {sender.email.address}"
        yield (
            f"no reply_domain: replies go to {to} and nobody is handed over by itself; "
            "add sender.email.reply_domain"
        )
    if business.website is None:
        yield "no website: mails have no link to the shop; add business.website"
    if settings.mode is Mode.TEST and not settings.allow_list:
        yield "mode test with an empty allow_list: nobody gets anything; add your own addresses"
    if settings.mode is not Mode.SANDBOX and not settings.base_url.startswith("https://"):
        yield (
            f"public_url {settings.base_url} is not https: mail programs show no unsubscribe "
            "button, and providers refuse to post there; write https://"
        )


def _notices_of(campaign: Campaign, settings: Settings) -> Iterator[str]:
    messages = [campaign.message(name) for name in campaign.message_names()]
    if settings.sender.sms is None and any(one.channel is Channel.SMS for one in messages):
        yield "texts are planned and no sender.sms is set: they fall to otherwise, or are skipped"
    if not campaign.holdout:
        yield "holdout 0%: what this campaign earns can never be known; write 10% or more"
    for name, offer in campaign.offers.items():
        if offer.is_cost_unknown:
            yield f"the offer {name} has no cost and counts as free in reports; add cost"
    for step in campaign.steps[1:]:
        if step.wait is not None and step.wait.is_nothing:
            yield f"the step {step.step} waits 0 days: it is due on the day of the step before"
