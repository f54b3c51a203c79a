"""``winback pause`` and ``winback resume``: our own switch, for all, a campaign or a channel."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from winback.cli.output import AsJson, AsOf, opened, print_json, say, whoever

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from winback.enrollment.pausing import PauseScope

OneCampaign = Annotated[str | None, typer.Option("--campaign", help="Only this campaign.")]
OneChannel = Annotated[str | None, typer.Option("--channel", help="Only email, or only sms.")]
OneCountry = Annotated[
    str | None, typer.Option("--country", help="Only texts to a country, as GB or US.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""

    @app.command()
    def pause(
        *,
        campaign: OneCampaign = None,
        channel: OneChannel = None,
        country: OneCountry = None,
        why: Annotated[str, typer.Option("--why", help="A line to remember it by.")] = "",
        as_of: AsOf = None,
        as_json: AsJson = False,
    ) -> None:
        """Let nothing more leave, at once; everything, or one campaign or channel.

        Waits are frozen until ``winback resume``; what is on its way is not called back.

        Example: winback pause --channel sms --why "our number is being moved"
        """
        from sqlalchemy.orm import Session

        from winback.enrollment.pausing import OPERATOR, reason_of
        from winback.enrollment.pausing import pause as stand_still
        from winback.failpoints import committing
        from winback.house import open_switch

        with open_switch(as_of) as (engine, now):
            scope, name = _named(engine, campaign, channel, country)
            said = why or f"paused by {whoever()}"
            with Session(engine) as session, committing(session.begin(), "pause.by_hand"):
                is_new = stand_still(session, scope, name, by=OPERATOR, why=said, now=now)
                kept = reason_of(session, scope, name)
        if as_json:
            told = {"scope": scope, "name": name, "paused": True, "was_paused": not is_new}
            print_json({**told, "why": kept})
            return
        what, option = name or "everything", f" --{scope} {name}" if name else ""
        if is_new:
            say(f"{what} stands still; go on with: winback resume{option}")
        else:
            not_kept = "; the reason given now is not kept" if why and why != kept else ""
            say(f"{what} stood still already: {kept}{not_kept}")

    @app.command()
    def resume(
        *,
        campaign: OneCampaign = None,
        channel: OneChannel = None,
        country: OneCountry = None,
        as_of: AsOf = None,
        as_json: AsJson = False,
    ) -> None:
        """Go on after a pause, ours or a brake's; due days move by the time that was lost.

        Example: winback resume --channel sms
        """
        from sqlalchemy.orm import Session

        from winback.database.retrying import transacted
        from winback.enrollment.pausing import resume as go_on
        from winback.outcomes.needs import find_pauses

        with opened(as_of, writes=True, needs_files=False) as (business, now):
            scope, name = _named(business.engine, campaign, channel, country)
            zone = business.settings.business.zone
            was_paused = transacted(
                business.engine,
                "pause.by_hand",
                lambda session: go_on(session, scope, name, now=now, zone=zone),
            )
            with Session(business.engine) as session:
                still = [need.says for need in find_pauses(session, now=now)]
        if as_json:
            told = {"scope": scope, "name": name, "paused": False, "was_paused": was_paused}
            print_json({**told, "still_paused": still})
            return
        _tell(name or "everything", still, was_paused=was_paused)


def _tell(what: str, still: "Sequence[str]", *, was_paused: bool) -> None:
    """Say what goes on; where another pause holds it, or a part of it, say that instead."""
    if not was_paused:
        say(f"no pause of {what} to end; see: winback status")
    elif not still:
        say(f"{what} goes on")
    else:
        say(f"the pause of {what} is over; what still stands still:")
        for says in still:
            say(says)


def _named(
    engine: "Engine", campaign: str | None, channel: str | None, country: str | None
) -> "tuple[PauseScope, str]":
    """Give what the options name; raises ConfigError for what there is not, or both at once."""
    from winback.enrollment.pausing import PauseScope
    from winback.errors import ConfigError

    if sum(one is not None for one in (campaign, channel, country)) > 1:
        raise ConfigError(
            "--campaign, --channel and --country: name one of them, or none for everything"
        )
    if campaign is not None:
        _must_be_known(engine, campaign)
        return PauseScope.CAMPAIGN, campaign
    if channel is not None:
        if channel not in ("email", "sms"):
            raise ConfigError(f"{channel!r} cannot be paused: write email or sms")
        return PauseScope.CHANNEL, channel
    if country is not None:
        if not re.fullmatch("[A-Z]{2}", country):
            raise ConfigError(f"{country!r} is no country code: write two capitals, as GB or US")
        return PauseScope.COUNTRY, country
    return PauseScope.ALL, ""


def _must_be_known(engine: "Engine", campaign: str) -> None:
    """Refuse a campaign that nobody is in and no file names, be the file right or not."""
    from sqlalchemy.orm import Session

    from winback.campaign.drafts import draft_campaigns
    from winback.campaign.loading import read_campaigns
    from winback.enrollment.pausing import campaigns_to_pause
    from winback.environment import find_home
    from winback.errors import ConfigError
    from winback.yaml_files import nearest

    with Session(engine.execution_options(winback_reads_only=True)) as session:
        known = campaigns_to_pause(session)
    if campaign in known:
        return
    campaigns, _ = read_campaigns(find_home())
    known |= {one.campaign for one in campaigns} | draft_campaigns(find_home(), campaigns).keys()
    if campaign not in known:
        raise ConfigError(f"there is no campaign {campaign!r}: {nearest(campaign, sorted(known))}")
