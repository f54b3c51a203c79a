"""``winback customer``: all about one person; export, erase, suppress."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from winback.cli.output import AsJson, AsOf, opened, print_json, print_table, say

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session


Id = Annotated[str, typer.Argument(metavar="ID", help="The customer's id, or SOURCE:ID.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


class _ShowUnlessNamed(TyperGroup):
    """Read ``winback customer ID`` as ``winback customer show ID``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``show`` before an id that is no command."""
        first = next((arg for arg in args if not arg.startswith("-")), None)
        if first is not None and first not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    customer = typer.Typer(
        name="customer",
        cls=_ShowUnlessNamed,
        help="All about one person: winback customer ID. Also: export, erase, suppress.\n\n"
        "Example: winback customer till:1042",
        no_args_is_help=True,
    )
    customer.command()(show)
    customer.command()(export)
    customer.command()(erase)
    customer.command()(suppress)
    app.add_typer(customer)


def show(customer: Id, as_json: AsJson = False, as_of: AsOf = None) -> None:
    """Show all about one person, every decision with its reason; the word show may be left out.

    Example: winback customer 1042 --json
    """
    from sqlalchemy.orm import Session

    from winback.enrollment.person import about_customer, find_customer

    with (
        opened(as_of, writes=False, needs_files=False) as (business, now),
        Session(business.engine) as session,
    ):
        customer_id = find_customer(session, customer)
        about = about_customer(session, customer_id, now=now, zone=business.zone)
    if as_json:
        print_json(about)
    else:
        _print(about)


def export(customer: Id, as_of: AsOf = None) -> None:
    """Print all that is held about one person, as JSON, to hand to them.

    Example: winback customer export 1042 > 1042.json
    """
    from sqlalchemy.orm import Session

    from winback.customers.privacy import export_customer
    from winback.enrollment.person import find_customer

    with (
        opened(as_of, writes=False, needs_files=False) as (business, _),
        Session(business.engine) as session,
    ):
        print_json(export_customer(session, find_customer(session, customer)))


def erase(customer: Id, yes: Yes = False, as_of: AsOf = None) -> None:
    """Forget one person for good; what stays has no name, and nobody writes to them again.

    Example: winback customer erase 1042 --yes
    """
    from sqlalchemy.orm import Session

    from winback.customers.privacy import erase_customer
    from winback.database.retrying import transacted
    from winback.enrollment.person import find_customer

    with opened(as_of, writes=True, needs_files=False) as (business, now):
        with Session(business.engine) as session:
            customer_id = find_customer(session, customer)
        if not yes:
            typer.confirm(f"Forget customer {customer} for good?", abort=True)

        def forget(session: Session) -> None:
            _stop(session, customer_id, now, why="the person asked to be forgotten")
            erase_customer(session, customer_id, now=now, secret=business.secret)

        transacted(business.engine, "customer.by_hand", forget)
    say(f"customer {customer} is forgotten")


def suppress(customer: Id, as_of: AsOf = None) -> None:
    """Stop all marketing to one person, on all channels, for good.

    Example: winback customer suppress 1042
    """
    from sqlalchemy.orm import Session

    from winback.customers.privacy import suppress_customer
    from winback.database.history import record_decision
    from winback.database.retrying import transacted
    from winback.enrollment.person import find_customer
    from winback.house import open_switch

    with open_switch(as_of) as (engine, now):

        def leave_alone(session: Session) -> bool:
            customer_id = find_customer(session, customer)
            is_new = suppress_customer(session, customer_id, now=now)
            why = "an associate stopped all marketing to this person"
            _stop(session, customer_id, now, why=why)
            if is_new:
                record_decision(session, customer_id, what="stopped", why=why, at=now)
            return is_new

        is_new = transacted(engine, "customer.by_hand", leave_alone)
    say(f"customer {customer} is {'now' if is_new else 'already'} left alone")


def _stop(session: "Session", customer_id: int, now: "datetime", *, why: str) -> None:
    """End what is open; a holdout stays in its arm, and gets nothing anyway."""
    from winback.enrollment.machine import EnrollmentEvent
    from winback.enrollment.moving import move, open_enrollment_of

    open_id = open_enrollment_of(session, customer_id)
    if open_id is not None:
        move(session, open_id, EnrollmentEvent.OPTED_OUT, now=now, why=why)


def _print(about: dict[str, Any]) -> None:
    bought = about["purchases"]
    ids = ", ".join(f"{source}:{one}" for source, known in about["ids"].items() for one in known)
    say(f"{about['name'] or 'No name'}  ({ids})")
    spent = ", ".join(f"{amount} {currency}" for currency, amount in bought["spent"].items())
    if bought["count"]:
        purchases = _counted(bought["count"], "purchase")
        days = _counted(bought["days_since_last_purchase"], "day")
        say(f"{purchases}, {spent} in all; the last on {bought['last_purchased_on']}, {days} ago")
    else:
        say("no purchase yet")
    for name, line in _lines(about):
        say(f"{name}: {line}")
    _print_enrollments(about)
    history = sorted(_history(about), key=lambda row: row[0])
    print_table("history (UTC)", ("at", "what", "about"), history)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _lines(about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in about["contact_points"]:
        flags = ("" if one["is_current"] else ", no longer named") + (
            "" if one["is_reachable"] else ", not reachable"
        )
        yield one["channel"], f"{one['address']}{flags}"
    for one in about["consents"]:
        if one["superseded_at"] is None:
            yield f"consent to {one['channel']}", f"{one['state']}, says {one['source']}"
    for one in about["suppressions"]:
        yield "do not contact", f"{one['channel'] or 'all channels'}, {one['reason']}"
    for one in about["refusals"]:
        again = f", looked at again on {one['look_again_on']}" if one["look_again_on"] else ""
        yield f"not in {one['campaign']}", f"{one['reason']}{again}"
    for one in about["waiting"]:
        yield f"not yet in {one['campaign']}", "a day's limit was reached; waits for a turn"


def _print_enrollments(about: dict[str, Any]) -> None:
    for one in about["enrollments"]:
        following = f", {one['next_step'] or 'the rest'} due {one['due_on']}"
        asleep = ", asleep" if one["is_asleep"] else ""
        say(
            f"enrollment {one['id']} in {one['campaign']}: {one['state']}, {one['arm']}, "
            f"value {one['value']}{asleep}{following if one['due_on'] else ''}"
        )
        for voucher in one["vouchers"]:
            until = f", good until {voucher['expires_on']}" if voucher["expires_on"] else ""
            say(f"  voucher {voucher['code']} ({voucher['offer']}): {voucher['state']}{until}")


def _history(about: dict[str, Any]) -> "Iterator[tuple[datetime, str, str]]":
    for one in about["decisions"]:
        yield one["at"], one["what"], one["why"]
    for enrollment in about["enrollments"]:
        for one in enrollment["messages"]:
            reason = f": {one['reason']}" if one["reason"] else ""
            yield one["at"], f"message {one['state']}", f"{one['step']}, {one['channel']}{reason}"
            if one["clicked_at"]:
                yield one["clicked_at"], "clicked", one["step"]
    for one in about["responses"]:
        yield one["at"], one["kind"], f"{one['reason'] or ''} -> {one['action']}".strip()
    for one in about["cases"]:
        yield one["opened_at"], "case opened", f"{one['id']}: {one['kind']} {one['label']}".strip()
        if one["closed_at"]:
            yield one["closed_at"], "case closed", f"{one['id']}: {one['result'] or ''}".strip()
