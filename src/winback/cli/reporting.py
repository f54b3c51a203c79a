"""``winback status`` and ``winback report``: where everything stands, and what it earned."""

from pathlib import Path
from typing import Annotated, Any

import typer

from winback.cli.output import AsJson, AsOf, opened, print_json, print_table, say


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""

    @app.command()
    def status(as_json: AsJson = False) -> None:
        """Count everything by its state, with what needs a person and the last runs.

        Example: winback status --json
        """
        from sqlalchemy.orm import Session

        from winback.outcomes.status import read_status

        with opened(writes=False) as (business, now):
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
        campaign: Annotated[
            str | None, typer.Option(help="Only this campaign; without it, all.")
        ] = None,
        html: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Write one self-contained page.")
        ] = None,
        as_of: AsOf = None,
        as_json: AsJson = False,
    ) -> None:
        """Show the funnel, the effect with its interval, the reasons, the money.

        Example: winback report --html report.html
        """
        from sqlalchemy.orm import Session

        from winback.errors import ConfigError
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
            import sys

            from rich.console import Console

            from winback.outcomes.terminal import print_report

            print_report(found, Console() if sys.stdout.isatty() else Console(width=160))


def _outcome(run: dict[str, Any]) -> str:
    if run["error"]:
        return f"failed: {run['error']}"
    counts: dict[str, int] = run["counts"]
    return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in counts.items())
