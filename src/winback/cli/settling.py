"""``winback settle``: an operator says what became of a message that nobody could tell of."""

from typing import Annotated

import typer

from winback.cli.output import AsJson, AsOf, known_number, opened, print_json, say

Found = Annotated[
    bool | None,
    typer.Option(
        "--accepted/--not-sent",
        help="What you found: the provider took it, or it surely never left.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def settle(
        *,
        message: Annotated[
            int,
            typer.Argument(
                metavar="MESSAGE",
                help="Its number, as winback status lists it.",
                callback=known_number,
            ),
        ],
        is_accepted: Found = None,
        note: Annotated[
            str, typer.Option("--note", help="A line to remember; no names, no addresses.")
        ] = "",
        as_of: AsOf = None,
        as_json: AsJson = False,
    ) -> None:
        """Settle a message in doubt by hand, once no evidence will come any more.

        Look for it in the provider's console first. Neither word sends anything: what was not
        sent stays unsent, on every channel, and its code goes back.

        Example: winback settle 1207 --not-sent --note "not in SendGrid's activity"
        """
        from winback.database.retrying import transacted
        from winback.delivery.settling import Verdict, settle_by_hand
        from winback.errors import ConfigError

        if is_accepted is None:
            raise ConfigError("say what you found: --accepted or --not-sent")
        verdict = Verdict.ACCEPTED if is_accepted else Verdict.NOT_SENT
        with opened(as_of, writes=True, needs_files=False) as (business, now):
            told = transacted(
                business.engine,
                "settle.by_hand",
                lambda session: settle_by_hand(
                    session, business, message, verdict, now=now, note=note
                ),
            )
        if as_json:
            print_json({"message": message, "settled": verdict.value})
            return
        say(told)
