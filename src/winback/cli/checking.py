"""``winback check``: every mistake of every file people edit, and with --online the world."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winback.cli.output import AsJson, print_json, say

if TYPE_CHECKING:
    from winback.campaign.schema import Campaign
    from winback.cli.online import Part
    from winback.errors import Mistake
    from winback.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""

    @app.command()
    def check(
        online: Annotated[
            bool,
            typer.Option("--online", help="Also keys, DNS, webhooks, reply route, schedules."),
        ] = False,
        as_json: AsJson = False,
    ) -> None:
        """Check settings, sources, facts, campaigns and templates; tell every mistake at once.

        Each with file, line, what is wrong and what to write instead. With --online also what
        only the outside knows: provider keys, SPF, DKIM and DMARC, whether webhooks and replies
        find their way here, and whether runs are scheduled.

        Example: winback check --online
        """
        from winback.environment import find_home

        home = find_home()
        mistakes, notices = _files(home)
        parts = _outside(home) if online and not mistakes else []
        if as_json:
            print_json(
                {
                    "mistakes": [asdict(mistake) for mistake in mistakes],
                    "notices": notices,
                    "online": [asdict(part) for part in parts],
                }
            )
        else:
            _tell(mistakes, notices, parts)
        if mistakes:
            raise typer.Exit(2)
        if not all(part.is_ok for part in parts):
            raise typer.Exit(1)


def _files(home: Path) -> "tuple[list[Mistake], list[str]]":
    """Give the mistakes of all files, and the notices where the files can be read."""
    from winback.campaign.check import check_home, notices
    from winback.errors import FileMistakes
    from winback.rehearsal.deployed import deployment_mistakes
    from winback.settings import load_settings
    from winback.sources.config import load_sources, notes_on
    from winback.states import Mode

    mistakes = check_home(home)
    try:
        sources = load_sources(home)
    except FileMistakes as found:
        mistakes += found.mistakes
        sources = ()
    campaigns, more, warnings = _read_by_campaigns(home)
    mistakes += more + deployment_mistakes(home)
    if mistakes:
        return sorted(set(mistakes)), []
    settings = load_settings(home)
    is_sandbox = settings.mode is Mode.SANDBOX
    told = [*notices(settings, campaigns), *notes_on(sources, is_sandbox=is_sandbox)]
    told += _warm_up_notices(settings)
    return [], [*told, *warnings, *_clock_notices(home, settings.business.time_zone)]


def _read_by_campaigns(
    home: Path,
) -> "tuple[tuple[Campaign, ...], list[Mistake], list[str]]":
    """Give campaigns, and mistakes and warnings of the files that are read in their light.

    Campaign files and facts with mistakes are read as far as they can be: no mistake of theirs
    hides one of a template or of a pool of codes.
    """
    from dataclasses import replace

    from winback.campaign.drafts import draft_campaigns, draft_facts, pools_in
    from winback.campaign.facts import Facts
    from winback.campaign.loading import read_campaigns
    from winback.messages.mistakes import lint_shelf, shelf_warnings
    from winback.messages.shelf import load_shelf
    from winback.vouchers.stock import pool_mistakes

    campaigns, has_mistakes = read_campaigns(home)
    drafts = draft_campaigns(home, campaigns) if has_mistakes else {}
    shelf = load_shelf(home, campaigns, Facts())
    texts = (text for one in shelf.sources.values() for text in (one.text, one.twin or ""))
    shelf = replace(shelf, facts=draft_facts(home, texts))
    mistakes = pool_mistakes(home, campaigns, pools_in(drafts)) + lint_shelf(shelf, drafts)
    warnings = [] if mistakes else [str(warning) for warning in shelf_warnings(shelf)]
    return campaigns, mistakes, warnings


def _warm_up_notices(settings: "Settings") -> list[str]:
    """Say what the warm-up does to the first days of a business that writes for real."""
    from winback.delivery.limits import days_to_full, warm_up_limit
    from winback.delivery.warming import warms_up

    limit = settings.policies.daily_limits.email
    days = days_to_full(limit)
    if not warms_up(settings) or not days:
        return []
    says = (
        f"mails warm up: {warm_up_limit(0, limit)} on the first day, half as many again after "
        f"each day with mails and without a brake, {limit:,} after {days} such days; until then "
        "the newest lapses come first, and no more enter than mails can leave (policies.warm_up)"
    )
    return [says]


def _clock_notices(home: Path, zone: str) -> list[str]:
    """Say where a schedule runs by the clock of another place than the business."""
    from winback.rehearsal.deployed import deployed_zones

    zones = deployed_zones(home) if (home / "prefect.yaml").exists() else set[str]()
    return [
        f"prefect.yaml: a schedule runs by the clock of {other}, the business by that of {zone}"
        for other in sorted(zones - {zone})
    ]


def _outside(home: Path) -> "list[Part]":
    from winback.cli.online import look_outside
    from winback.environment import read_environment
    from winback.settings import load_settings

    return look_outside(load_settings(home), read_environment(home=home))


def _tell(mistakes: "list[Mistake]", notices: list[str], parts: "list[Part]") -> None:
    for mistake in mistakes:
        sys.stderr.write(f"{mistake}\n")
    if mistakes:
        count = len(mistakes)
        sys.stderr.write(f"{count} mistake{'' if count == 1 else 's'} to put right\n")
        return
    for notice in notices:
        say(f"note: {notice}")
    say("all files are right")
    for part in parts:
        say(f"{'ok    ' if part.is_ok else 'failed'} {part.what}: {part.says}")
    failed = sum(not part.is_ok for part in parts)
    if failed:
        sys.stderr.write(f"{failed} of {len(parts)} failed online\n")
