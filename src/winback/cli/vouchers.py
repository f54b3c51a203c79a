"""``winback voucher``: the stock, export for the till, import of a pool, redeem."""

import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from winback.cli.output import AsJson, AsOf, opened, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from winback.business import Business

CampaignName = Annotated[str | None, typer.Option("--campaign", help="Of this campaign only.")]
OfferName = Annotated[str | None, typer.Option("--offer", help="Of this offer only.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    voucher = typer.Typer(
        name="voucher",
        help="Codes: the stock, export, import, redeem.\n\nExample: winback voucher",
        invoke_without_command=True,
    )
    voucher.callback()(_stock)
    voucher.command("export")(_export)
    voucher.command("import")(_import)
    voucher.command("redeem")(_redeem)
    app.add_typer(voucher)


def _stock(context: typer.Context, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Codes: the stock of every offer by state; with a command: export, import, redeem.

    Example: winback voucher --json
    """
    if context.invoked_subcommand is not None:
        return
    from sqlalchemy.orm import Session

    from winback.states import Mode
    from winback.vouchers.stock import stock

    with opened(as_of, writes=False) as (business, now), Session(business.engine) as session:
        must_be_exported = business.settings.mode is not Mode.SANDBOX
        lines = stock(session, business.campaigns, now=now, must_be_exported=must_be_exported)
    if as_json:
        print_json({"vouchers": [asdict(line) for line in lines]})
        return
    columns = ("free", "usable", "reserved", "issued", "expired", "redeemed", "voided")
    print_table(
        "vouchers",
        ("campaign", "offer", *columns, ""),
        (
            (
                line.campaign,
                line.offer,
                *(getattr(line, column) for column in columns),
                "low" if line.is_low else "",
            )
            for line in lines
        ),
    )
    for line in lines:
        if line.is_low:
            remedy = _remedy(line.free, line.usable, must_be_exported=must_be_exported)
            say(f"{line.campaign}/{line.offer} runs low: {remedy}")


def _export(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write; nothing or - is the terminal.")
    ] = None,
    *,
    campaign: CampaignName = None,
    offer: OfferName = None,
    only_new: Annotated[
        bool, typer.Option("--new", help="Only codes that were never exported.")
    ] = False,
    as_of: AsOf = None,
) -> None:
    """Write the codes for the till as CSV, before they are sent, and mark them exported.

    In modes test and live only exported or imported codes are sent. All codes that can still be
    used are written again each time, or with --new those never written before.

    Example: winback voucher export codes.csv --new
    """
    import secrets

    from sqlalchemy.orm import Session

    from winback.failpoints import committing
    from winback.vouchers.exporting import export_codes
    from winback.vouchers.stock import fill

    with (
        opened(as_of, writes=True) as (business, now),
        Session(business.engine) as session,
        # Committed last: only what was written down is marked as known to the shop, and sent.
        committing(session.begin(), "voucher.export"),
    ):
        _known(business, campaign, offer)
        for one in business.campaigns:
            fill(
                session,
                one,
                now=now,
                rng=secrets.SystemRandom(),
                home=business.environment.home,
            )
        with _written(file) as sink:
            count = export_codes(
                session,
                sink,
                campaigns=business.campaigns,
                currency=business.settings.business.currency,
                now=now,
                only_new=only_new,
                campaign=campaign,
                offer=offer,
            )
    sys.stderr.write(f"{count:,} codes exported\n")


def _import(
    file: Annotated[Path, typer.Argument(help="One code a line, or a CSV with codes first.")],
    *,
    campaign: Annotated[str, typer.Option("--campaign", help="The campaign they are for.")],
    offer: Annotated[str, typer.Option("--offer", help="The offer they are for.")],
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Take a pool of codes that the shop made; codes that are known already are passed over.

    Example: winback voucher import pool.csv --campaign six-month --offer comeback
    """
    from sqlalchemy.orm import Session

    from winback.failpoints import committing
    from winback.vouchers.making import import_codes
    from winback.vouchers.stock import read_pool

    with opened(as_of, writes=True) as (business, now):
        _known(business, campaign, offer)
        codes = list(read_pool(file, shown_as=str(file)))
        with Session(business.engine) as session, committing(session.begin(), "voucher.import"):
            new = import_codes(session, campaign, offer, codes, now=now)
    if as_json:
        print_json({"read": len(codes), "added": new, "known": len(codes) - new})
    else:
        say(f"{len(codes):,} codes read, {new:,} new, {len(codes) - new:,} known already")


def _redeem(
    code: Annotated[str, typer.Argument(help="As the customer says it.")],
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Redeem one code, once; says what it gives, or that it is not valid.

    Case, dashes and look-alike letters do not matter.

    Example: winback voucher redeem ABCD-EFGH-JKMNP
    """
    from sqlalchemy.orm import Session

    from winback.database.tables import Voucher
    from winback.failpoints import committing
    from winback.vouchers.exporting import offer_of
    from winback.vouchers.redeeming import redeem

    with (
        opened(as_of, writes=True, needs_files=False) as (business, now),
        Session(business.engine) as session,
        committing(session.begin(), "voucher.redeem"),
    ):
        redeemed = redeem(session, code, now=now)
        gives = ""
        if redeemed is not None:
            row = session.get_one(Voucher, redeemed.voucher_id)
            offer = offer_of(row, business.campaigns)
            gives = offer.says(business.settings.business.currency, None) if offer else row.offer
    if as_json:
        print_json({"redeemed": redeemed is not None, "gives": gives or None})
    elif redeemed is not None:
        say(f"Redeemed: {gives}.")
    else:
        # The same for unknown, expired and used codes (FACTS.md SEC-17).
        sys.stderr.write("This code is not valid.\n")
    if redeemed is None:
        raise typer.Exit(1)


def _known(business: "Business", campaign: str | None, offer: str | None) -> None:
    """Refuse a campaign or an offer that no file describes."""
    from winback.errors import ConfigError
    from winback.yaml_files import nearest

    campaigns = {one.campaign: one for one in business.campaigns}
    if campaign is not None and campaign not in campaigns:
        raise ConfigError(f"there is no campaign {campaign!r}; {nearest(campaign, [*campaigns])}")
    chosen = [campaigns[campaign]] if campaign is not None else business.campaigns
    offers = [name for one in chosen for name in one.offers]
    if offer is not None and offer not in offers:
        raise ConfigError(f"there is no offer {offer!r}; {nearest(offer, offers)}")


def _remedy(free: int, usable: int, *, must_be_exported: bool) -> str:
    if free > usable or (must_be_exported and not free):
        return "tell the shop new codes with winback voucher export --new"
    return "raise codes in the campaign file, or import more"


@contextmanager
def _written(file: Path | None) -> "Iterator[TextIO]":
    """Open the file to write, whole or not at all; the terminal where there is none."""
    if file is None or str(file) == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    from winback.errors import ConfigError

    part = file.with_name(f"{file.name}.part")
    try:
        # Codes are worth money: nobody else on this machine needs to read them.
        part.touch(mode=0o600)
        with part.open("w", encoding="utf-8", newline="") as sink:
            yield sink
        part.replace(file)
    except OSError as refused:
        raise ConfigError(f"{file} cannot be written: {refused.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
