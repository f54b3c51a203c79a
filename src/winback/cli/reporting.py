"""``winback status`` and ``winback report``: where everything stands, and what it earned."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winback.cli.output import AsJson, AsOf, make_console, opened, print_json, print_table, say

if TYPE_CHECKING:
    from winback.outcomes.account import Account

_SHOWN: Final = 20
"""Messages that a table lists; JSON lists all."""


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""

    @app.command()
    def status(as_of: AsOf = None, as_json: AsJson = False) -> None:
        """Count everything by its state, with what needs a person and the last runs.

        States are those that the database holds now; what has expired or waits too long is seen
        from --as-of.

        Example: winback status --json
        """
        from sqlalchemy.orm import Session

        from winback.outcomes.status import read_status

        with opened(as_of, writes=False, needs_files=False) as (business, now):
            engine = business.engine.execution_options(winback_reads_only=True)
            with Session(engine) as session:
                found = read_status(session, business, now=now)
        if as_json:
            print_json(found)
            return
        for name in ("enrollments", "messages", "vouchers", "cases", "events"):
            print_table(name.capitalize(), ["state", "count"], found[name].items())
        oldest = [(what.replace("_", " "), at) for what, at in found["oldest"].items() if at]
        print_table("Oldest unresolved (UTC)", ["what", "since"], oldest)
        _tell_unknown(found["unknown"])
        needs = [(need["says"], need["since"]) for need in found["needs_a_person"]]
        print_table("Needs a person (UTC)", ["what", "since"], needs)
        runs = [
            (stage, run["as_of"], run["ended_at"] or "not ended", run["by"], _outcome(run))
            for stage, run in found["runs"].items()
            if run
        ]
        print_table("Last runs (UTC)", ["stage", "as of", "ended", "by", "outcome"], runs)

    @app.command()
    def report(
        *,
        campaign: Annotated[
            str | None, typer.Option(help="Only this campaign; without it, all.")
        ] = None,
        html: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Write one self-contained page.")
        ] = None,
        account: Annotated[
            bool,
            typer.Option(
                "--account", help="Instead, by day: accepted, processed, delivered, and the gaps."
            ),
        ] = False,
        days: Annotated[
            int, typer.Option(min=1, max=366, help="Of the account: how many days, with today.")
        ] = 7,
        as_of: AsOf = None,
        as_json: AsJson = False,
    ) -> None:
        """Show the funnel, the effect with its interval, the reasons, the money.

        With --account, what the providers took and delivered instead, by local day and channel,
        and by hour with --json; each gap names its messages.

        Example: winback report --html report.html
        """
        from sqlalchemy.orm import Session

        from winback.errors import ConfigError

        if account:
            _account(days, as_of, as_json=as_json)
            return
        from winback.outcomes.report import build_report

        with opened(as_of, writes=False) as (business, now):
            engine = business.engine.execution_options(winback_reads_only=True)
            with Session(engine) as session:
                found = build_report(session, business, now=now, campaign=campaign)
        if campaign and not found.campaigns:
            raise ConfigError(f"there is no campaign {campaign!r}; see: winback campaign show")
        if html:
            from winback.outcomes.html import render_html

            html.parent.mkdir(parents=True, exist_ok=True)
            html.write_text(render_html(found), encoding="utf-8")
        if as_json:
            print_json(found.plain())
        elif html:
            say(f"written: {html}")
        else:
            from winback.outcomes.terminal import print_report

            print_report(found, make_console())


def _account(days: int, as_of: str | None, *, as_json: bool) -> None:
    from sqlalchemy.orm import Session

    from winback.outcomes.account import build_account

    with opened(as_of, writes=False, needs_files=False) as (business, now):
        engine = business.engine.execution_options(winback_reads_only=True)
        with Session(engine) as session:
            found = build_account(session, business, now=now, days=days)
    if as_json:
        print_json(found.plain())
    else:
        _print_account(found)


def _tell_unknown(unknown: list[dict[str, Any]]) -> None:
    columns = ("id", "channel", "step", "since", "looks", "looks_again_at", "why")
    rows = [[str(one["id"]), *(one[name] for name in columns[1:])] for one in unknown[:_SHOWN]]
    heads = ["message", "channel", "step", "since", "looks", "next look", "why"]
    print_table("What stays unknown (UTC)", heads, rows)
    if len(unknown) > _SHOWN:
        say(f"and {len(unknown) - _SHOWN:,} more; see: winback status --json")


def _print_account(account: "Account") -> None:
    names = ("accepted", "processed", "delivered", "bounced", "failed", "waiting", "refused")
    rows = [
        [str(one.day), one.channel.value]
        + [getattr(one.tally, name) for name in names]
        + [one.tally.unknown]
        for one in account.days
    ]
    print_table("What was handed over, by day", ["day", "channel", *names, "unknown"], rows)
    gaps = [
        [str(one.day), one.channel.value, what.replace("_", " "), _first(ids)]
        for one in account.days
        for what, ids in one.gaps.by_kind().items()
        if ids
    ]
    print_table("Gaps", ["day", "channel", "what", "messages"], gaps)


def _first(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN]))
    return shown if len(ids) <= _SHOWN else f"{shown} and {len(ids) - _SHOWN:,} more"


def _outcome(run: dict[str, Any]) -> str:
    if run["error"]:
        return f"failed: {run['error']}"
    counts: dict[str, int] = run["counts"]
    return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in counts.items())
