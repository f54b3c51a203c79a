"""What each tapped reason does, unless the campaign says otherwise (DESIGN.md, section 5). Pure.

The no's are no rows here: nothing can change that a no stops everything.
"""

from dataclasses import dataclass, replace
from typing import Final

from winback.campaign.actions import ActionKind, ResponseAction
from winback.campaign.schema import Campaign
from winback.states import Reason


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; ``says`` is the sentence that the decision begins with.

    A sleep without months lasts until the month that the customer chose. Besides, the campaign's
    answer of the same name is sent where it has one.
    """

    kind: ActionKind
    says: str
    months: int | None = None
    step: str | None = None
    is_gentle: bool = False


ROWS: Final[dict[Reason, Row]] = {
    Reason.FORGOT: Row(ActionKind.CONTINUE, "was busy or forgot"),
    Reason.NOT_NOW: Row(ActionKind.SLEEP, "asked us to come back later"),
    Reason.HARD_TIME: Row(ActionKind.SLEEP, "has a hard time", months=3, is_gentle=True),
    Reason.HOURS: Row(ActionKind.CONTINUE, "asked about hours or place"),
    # To which step is the campaign's to say; without a word, the first that carries an offer.
    Reason.PRICE: Row(ActionKind.GO_TO, "finds us dear"),
    # The apology opens the door, but a repair is a person's work.
    Reason.SERVICE: Row(ActionKind.HAND_OVER, "was let down by us"),
    Reason.ANOTHER: Row(ActionKind.CONTINUE, "found another shop"),
    Reason.MOVED: Row(ActionKind.PART, "moved, or needs us no longer"),
}
"""The default of each reason of the reason page."""


def row_of(reason: Reason, campaign: Campaign) -> Row:
    """Give the row that holds in a campaign.

    Its ``responses`` win over what its answer's ``then`` says, and that over the default. What
    the customer feels does not change with it: a hard time stays gentle.
    """
    row = ROWS[reason]
    answer = campaign.answers.get(reason.value)
    chosen = campaign.responses.get(reason) or (answer.then if answer else None)
    if chosen is not None:
        row = replace(row, kind=chosen.kind, months=chosen.months, step=chosen.step)
    if row.kind is ActionKind.GO_TO and row.step is None:
        first = next((step.step for step in campaign.steps if step.offer), None)
        row = replace(row, step=first) if first else replace(row, kind=ActionKind.CONTINUE)
    return row


def action_of(row: Row) -> ResponseAction:
    """Give a row's action in the words of the campaign file, for the record."""
    return ResponseAction(row.kind, step=row.step, months=row.months)
