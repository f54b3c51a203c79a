"""What happens while a call is on its way: an operator's hand, and webhooks applied by the server.

Now and then the provider is busy then, and the message goes back to a queue in which nothing is
as it was.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tests.simulation.record import Road
from winback.providers.outgoing import Busy, Result
from winback.responses.applying import apply_events

if TYPE_CHECKING:
    from tests.simulation.against import Call
    from tests.simulation.town import Town

OFTEN: Final = 0.08
"""Share of calls during which something happens."""
_MOMENT: Final = timedelta(seconds=2)
"""Longer than what is known of our own switch may be old at a call (DS-15)."""


def meanwhile(town: "Town", call: "Call") -> Result | None:
    """Let something happen in the middle of a call, or nothing; gives the answer, if it is one."""
    if town.meanwhile.random() >= OFTEN:
        return None
    town.clock.set_to(town.now + _MOMENT)
    person = next(who for who in town.persons if who.number == call.number)
    match town.meanwhile.randrange(4):
        case 0:
            town.toggle_pause()
            town.later(timedelta(days=town.meanwhile.randint(1, 6)), town.end_pause)
        case 1:
            town.say_no(person, "text")
        case _:
            town.write(person, "Thanks! Are you open on Sunday?")
    # As the server does with what a webhook brought.
    apply_events(town.business, town.now)
    town.record.take_up(Road.EVENT, town.now)
    return Busy(60, "429") if town.meanwhile.random() < 0.5 else None
