"""What the keys of a campaign file say about each other: names, targets, order.

Works on the values as they were read, not on the checked model, so that these mistakes are told
together with those of single keys; what has the wrong shape is passed over here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from winback.campaign.actions import ActionKind, read_action
from winback.periods import read_period
from winback.yaml_files import Place, nearest

_FALLS_TO: Final = {"email": "sms", "sms": "email", "call": "letter"}
"""What each channel may fall to: sent words to sent words, a person's call to a person's letter."""
_ANY_DAY: Final = date(2001, 1, 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, at a place of the file."""

    place: Place
    what: str
    instead: str


def problems(written: Any) -> Iterator[Problem]:
    """Give every mistake between keys of one campaign file."""
    if not isinstance(written, Mapping):
        return
    steps, answers = _list(written, "steps"), _mapping(written, "answers")
    yield from _names(steps, answers)
    yield from _offers_used(steps, answers, _mapping(written, "offers"))
    yield from _first_step(steps)
    yield from _expiries(steps, _mapping(written, "offers"))
    for place, message in _messages(steps, answers):
        yield from _otherwise(place, message)
    yield from _by_hand(answers)
    yield from _targets(written, steps, answers)
    yield from _lapse(written)


def _names(steps: list[Any], answers: Mapping[Any, Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in enumerate(_step_names(steps)):
        if name is None:
            continue
        if name in seen:
            yield Problem(
                ("steps", index, "step"), f"the step {name!r} stands here twice", "rename one"
            )
        elif name in answers:
            yield Problem(
                ("steps", index, "step"),
                f"{name!r} is a step and an answer",
                "rename the step: steps and answers share their names",
            )
        seen.add(name)


def _offers_used(
    steps: list[Any], answers: Mapping[Any, Any], offers: Mapping[Any, Any]
) -> Iterator[Problem]:
    known = [str(name) for name in offers]
    used: set[str] = set()
    for place, message in _messages(steps, answers):
        offer = message.get("offer")
        if not isinstance(offer, str):
            continue
        used.add(offer)
        if offer not in known:
            advice = nearest(offer, known) if known else f"describe {offer} under offers"
            yield Problem((*place, "offer"), f"there is no offer {offer!r}", advice)
    for name in known:
        if name not in used:
            yield Problem(
                ("offers", name),
                f"the offer {name!r} is given by no step and no answer",
                f"write offer: {name} at a step, or remove it",
            )


def _first_step(steps: list[Any]) -> Iterator[Problem]:
    if not steps or not isinstance(steps[0], Mapping):
        return
    first = steps[0]
    if "before_expiry" in first:
        yield Problem(
            ("steps", 0, "before_expiry"),
            "the first step has no voucher before it that could expire",
            "write wait: 0 days",
        )
    if first.get("offer") is not None:
        yield Problem(
            ("steps", 0, "offer"),
            "the first step carries an offer: a first touch speaks of concern, not of price",
            "give the offer to a later step",
        )


def _expiries(steps: list[Any], offers: Mapping[Any, Any]) -> Iterator[Problem]:
    valid: list[date] = []
    for index, step in enumerate(steps):
        if not isinstance(step, Mapping):
            continue
        before = _length(step.get("before_expiry"))
        if index and "before_expiry" in step and not valid:
            yield Problem(
                ("steps", index, "before_expiry"),
                "no earlier step carries an offer, so there is no expiry",
                "write wait: 5 days, or give an earlier step an offer",
            )
        elif before is not None and valid and before >= max(valid):
            yield Problem(
                ("steps", index, "before_expiry"),
                "every voucher of an earlier step is valid for less time than this",
                "write fewer days than valid_for",
            )
        offer = offers.get(step.get("offer"))
        # A voucher whose validity cannot be read is told elsewhere; here it lasts for ever.
        if "offer" in step and step["offer"] is not None:
            length = _length(offer.get("valid_for")) if isinstance(offer, Mapping) else None
            valid.append(length or date.max)


def _otherwise(place: Place, message: Mapping[Any, Any]) -> Iterator[Problem]:
    channel, otherwise = message.get("channel", "email"), message.get("otherwise")
    if otherwise is None:
        return
    place = (*place, "otherwise")
    fits = _FALLS_TO.get(channel) if isinstance(channel, str) else None
    if channel == "letter":
        what = "a letter needs nothing that could be missing, so it falls to nothing"
        yield Problem(place, what, "remove otherwise")
    elif otherwise == channel:
        what = f"otherwise is {otherwise}, the same as channel"
        yield Problem(place, what, f"write {fits}, or remove it")
    elif fits is not None and otherwise != fits:
        what = f"otherwise of {channel} cannot be {otherwise!r}"
        yield Problem(place, what, f"write {fits}, or remove it")


def _by_hand(answers: Mapping[Any, Any]) -> Iterator[Problem]:
    """Refuse answers that somebody would have to give by hand: ``then`` is what hands over."""
    for name, answer in answers.items():
        channel = answer.get("channel") if isinstance(answer, Mapping) else None
        if channel in ("call", "letter"):
            yield Problem(
                ("answers", name, "channel"),
                f"no answer goes by {channel}: nobody would be told to do it",
                "write email or sms, and then: hand over where a person must act",
            )


def _targets(
    written: Mapping[Any, Any], steps: list[Any], answers: Mapping[Any, Any]
) -> Iterator[Problem]:
    known = [name for name in _step_names(steps) if name is not None]
    actions: list[tuple[Place, Any]] = [
        (("responses", key), action) for key, action in _mapping(written, "responses").items()
    ]
    actions += [
        (("answers", key, "then"), answer["then"])
        for key, answer in answers.items()
        if isinstance(answer, Mapping) and answer.get("then") is not None
    ]
    for place, text in actions:
        try:
            action = read_action(text)
        except ValueError:
            continue
        if action.kind is not ActionKind.GO_TO or action.step is None:
            continue
        if action.step not in known:
            yield Problem(place, f"there is no step {action.step!r}", nearest(action.step, known))
        elif action.step == known[0]:
            yield Problem(
                place,
                f"{action.step!r} is the first step and always lies behind: only forward",
                "go to a later step, or write continue",
            )


def _lapse(written: Mapping[Any, Any]) -> Iterator[Problem]:
    lapse = _mapping(written, "lapse")
    after, not_after = _length(lapse.get("after", "6 months")), _length(lapse.get("not_after"))
    if after and not_after and not_after <= after:
        yield Problem(
            ("lapse", "not_after"),
            "not_after is no longer than after, so nobody would ever be lapsed",
            "write a longer time, as 24 months",
        )


def messages_in(written: Any) -> Iterator[tuple[Place, Mapping[Any, Any]]]:
    """Give every step and answer of a campaign file as it was read, with its place."""
    if isinstance(written, Mapping):
        yield from _messages(_list(written, "steps"), _mapping(written, "answers"))


def _messages(
    steps: list[Any], answers: Mapping[Any, Any]
) -> Iterator[tuple[Place, Mapping[Any, Any]]]:
    for index, step in enumerate(steps):
        if isinstance(step, Mapping):
            yield ("steps", index), step
    for key, answer in answers.items():
        if isinstance(answer, Mapping):
            yield ("answers", key), answer


def _step_names(steps: list[Any]) -> list[str | None]:
    names = [step.get("step") if isinstance(step, Mapping) else None for step in steps]
    return [name if isinstance(name, str) else None for name in names]


def _length(written: object) -> date | None:
    """Give a period as the date it reaches from one fixed day, so that two can be compared."""
    try:
        return read_period(written).after(_ANY_DAY)
    except (ValueError, OverflowError):
        return None


def _list(written: Mapping[Any, Any], key: str) -> list[Any]:
    found = written.get(key)
    return found if isinstance(found, list) else []


def _mapping(written: Mapping[Any, Any], key: str) -> Mapping[Any, Any]:
    found = written.get(key)
    return found if isinstance(found, Mapping) else {}
