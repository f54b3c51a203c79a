"""``winback campaign show``: the campaign as a dated strip."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winback.cli.output import AsJson, AsOf, print_json, print_table, say

if TYPE_CHECKING:
    from winback.campaign.schema import Campaign
    from winback.campaign.strip import Strip
    from winback.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    campaign = typer.Typer(
        name="campaign",
        help="Look at campaigns.\n\nExample: winback campaign show",
        no_args_is_help=True,
    )
    app.add_typer(campaign)

    @campaign.command()
    def show(
        name: Annotated[str | None, typer.Argument(help="Needed when there are several.")] = None,
        as_of: AsOf = None,
        mermaid: Annotated[bool, typer.Option("--mermaid", help="Print Mermaid text.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Show a campaign as a dated strip: what comes when, if nobody responds.

        Day 0 is today, or the day of --as-of; every condition is taken to hold.

        Example: winback campaign show six-month --mermaid
        """
        from winback.campaign.loading import load_campaigns
        from winback.campaign.strip import make_strip
        from winback.campaign.strip import mermaid as as_mermaid
        from winback.clock import SystemClock, day_end, local_date, read_as_of
        from winback.environment import find_home
        from winback.settings import load_settings

        home: Path = find_home()
        settings = load_settings(home)
        zone = settings.business.zone
        instant = read_as_of(as_of, zone, day_end) if as_of else SystemClock().now()
        chosen = _chosen(load_campaigns(home), name)
        begins_on = local_date(instant, zone)
        if mermaid:
            say(as_mermaid(chosen, begins_on).rstrip())
            return
        strip = make_strip(chosen, begins_on)
        if as_json:
            print_json(asdict(strip))
            return
        _print(strip, chosen, settings)


def _chosen(campaigns: "tuple[Campaign, ...]", name: str | None) -> "Campaign":
    from winback.errors import ConfigError
    from winback.yaml_files import nearest

    known = {campaign.campaign: campaign for campaign in campaigns}
    if name is None and len(known) == 1:
        return campaigns[0]
    if name is None:
        raise ConfigError(f"there are several campaigns; name one of {', '.join(known)}")
    if name not in known:
        raise ConfigError(f"there is no campaign {name!r}; {nearest(name, list(known))}")
    return known[name]


def _print(strip: "Strip", campaign: "Campaign", settings: "Settings") -> None:
    currency = settings.business.currency
    offers = {name: offer.says(currency, None) for name, offer in campaign.offers.items()}
    print_table(
        f"{strip.campaign}: who has not bought for {campaign.lapse.after}, from {strip.begins_on}",
        ("day", "earliest on", "step", "waits", "channel", "template", "offer", "only if"),
        (
            (
                position.day,
                f"{position.earliest_on:%a %Y-%m-%d}" if position.earliest_on else "passed",
                position.step,
                position.when,
                position.channel,
                position.template,
                offers.get(position.offer or "", position.offer),
                position.only_if,
            )
            for position in strip.steps
        ),
    )
    say(f"{strip.exhausted_on:%a %Y-%m-%d}: exhausted, after a rest of {campaign.rest}")
    if strip.answers:
        print_table(
            "\nanswers, when they respond",
            ("to", "channel", "template", "offer", "then"),
            (
                (
                    answer.answer,
                    answer.channel,
                    answer.template,
                    offers.get(answer.offer or "", answer.offer),
                    answer.then,
                )
                for answer in strip.answers
            ),
        )
    for reason, action in strip.responses.items():
        say(f"{reason}: {action}")
    say(f"left alone at random: {campaign.holdout:.0%}, measured for {campaign.measure_for}")
