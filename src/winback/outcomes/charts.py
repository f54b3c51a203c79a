"""Charts as SVG, drawn here, so that a page needs no script and prints as it looks.

Colors are classes of the page's style sheet; every chart names itself for those who cannot see it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from markupsafe import Markup, escape

from winback.outcomes.figures import FunnelRow, ReturnPoint, Week
from winback.outcomes.lift import Interval

_WIDTH: Final = 760
_FUNNEL_STAGES: Final = ("sent", "delivered", "opened", "clicked")


@dataclass(frozen=True, slots=True)
class _Scale:
    """Turns a value into a place on the paper."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def interval_chart(difference: Interval) -> Markup:
    """Draw the difference of the arms and its interval against the line of no effect."""
    points = Interval(
        *(end * 100 for end in (difference.estimate, difference.low, difference.high))
    )
    reach = max(abs(points.low), abs(points.high), 1.0) * 1.15
    x = _Scale(
        min(-reach * 0.25, points.low * 1.15), max(reach * 0.25, points.high * 1.15), 20, 740
    )
    y = 52
    said = (
        f"{points.estimate:.1f} more of every 100 customers came back; "
        f"the interval reaches from {points.low:.1f} to {points.high:.1f}"
    )
    parts = [
        _line(x.start, 86, x.end, 86, "axis"),
        *(
            part
            for tick in ticks(x.low, x.high, about=8)
            for part in (
                _line(x(tick), 82, x(tick), 90, "axis"),
                _text(x(tick), 106, f"{tick:+g}" if tick else "0", "label", "middle"),
            )
        ),
        _line(x(0), 14, x(0), 86, "zero"),
        _text(x(0) - 6, 24, "no effect", "label", "end"),
        _line(x(points.low), y, x(points.high), y, "interval"),
        _circle(x(points.estimate), y, 8, "treated"),
        _text(x(points.estimate), y - 18, f"{points.estimate:+.1f}", "figure", "middle"),
        _text(x(points.low), y + 22, f"{points.low:.1f}", "label", "middle"),
        _text(x(points.high), y + 22, f"{points.high:.1f}", "label", "middle"),
    ]
    return _svg(114, "The effect with its interval", said, parts)


def returns_chart(points: Sequence[ReturnPoint]) -> Markup:
    """Draw which share of each arm had come back so many days after its enrollment."""
    last = points[-1]
    top = max(last.treated, last.holdout, 0.01) * 100
    x, y = _Scale(0, last.days, 44, 600), _Scale(0, top * 1.08, 232, 16)
    said = (
        f"After {last.days} days {last.treated:.1%} of the treated and "
        f"{last.holdout:.1%} of the holdout had come back"
    )
    parts = [
        *_grid(y, ticks(0, top * 1.08), x, "%"),
        *(
            _text(x(day), 252, f"day {day:g}" if day else "enrolled", "label", _anchor(day))
            for day in ticks(0, last.days, about=6)
        ),
        _path(((x(point.days), y(point.holdout * 100)) for point in points), "holdout"),
        _path(((x(point.days), y(point.treated * 100)) for point in points), "treated"),
    ]
    ends = {"treated": y(last.treated * 100), "holdout": y(last.holdout * 100)}
    if abs(ends["treated"] - ends["holdout"]) < 18:  # noqa: PLR2004 - the height of a line of text
        is_above = ends["treated"] <= ends["holdout"]
        middle = sum(ends.values()) / 2
        ends = {
            "treated": middle + (-9 if is_above else 9),
            "holdout": middle + (9 if is_above else -9),
        }
    for arm, share in (("treated", last.treated), ("holdout", last.holdout)):
        parts.append(_text(610, ends[arm] + 5, f"{share:.1%} {arm}", f"end {arm}"))
    return _svg(262, "Who came back, day by day after enrollment", said, parts)


def funnel_chart(rows: Sequence[FunnelRow]) -> Markup:
    """Draw for each step what was sent, delivered, opened and clicked, as nested bars."""
    sent = [row for row in rows if row.sent]
    x = _Scale(0, max((row.sent for row in sent), default=1), 0, 430)
    parts: list[Markup] = []
    several = {(row.step, row.channel) for row in sent if row.variant != "a"}
    for place, row in enumerate(sent):
        y = 8 + place * 40
        name = f"{row.step} {row.variant}" if (row.step, row.channel) in several else row.step
        parts += [
            _text(0, y + 13, name, "name"),
            _text(0, y + 28, f"{row.channel}{', answer' if row.is_answer else ''}", "label"),
        ]
        for depth, stage in enumerate(_FUNNEL_STAGES):
            width = x(getattr(row, stage))
            parts.append(_rect(130, y + depth * 3, width, 30 - depth * 6, f"funnel {stage}"))
        rate = row.clicked / row.delivered if row.delivered else 0
        parts += [
            _text(138 + x(row.sent), y + 13, f"{row.sent:,} sent", "number"),
            _text(
                138 + x(row.sent),
                y + 28,
                f"{row.clicked:,} clicked ({rate:.1%}), {row.replied:,} replied",
                "label",
            ),
        ]
    said = "; ".join(
        f"{row.step} by {row.channel}: {row.sent} sent, {row.delivered} delivered, "
        f"{row.clicked} clicked, {row.replied} replied"
        for row in sent
    )
    return _svg(8 + 40 * len(sent), "From message to customer", said, parts)


def bars_chart(counts: Mapping[str, int], names: Mapping[str, str]) -> Markup:
    """Draw counts as bars, in their order, each with its number and share."""
    total = sum(counts.values()) or 1
    x = _Scale(0, max(counts.values(), default=1) or 1, 0, 430)
    parts: list[Markup] = []
    for place, (key, count) in enumerate(counts.items()):
        y = 4 + place * 30
        parts += [
            _text(0, y + 16, names.get(key, key), "name"),
            _rect(205, y, max(x(count), 1), 22, "bar"),
            _text(213 + x(count), y + 16, f"{count:,} ({count / total:.0%})", "number"),
        ]
    said = ", ".join(f"{names.get(key, key)}: {count}" for key, count in counts.items())
    return _svg(8 + 30 * len(counts), "Reasons", said, parts)


def weeks_chart(weeks: Sequence[Week]) -> Markup:
    """Draw each week's enrollments above, and each week's returning customers below, by arm."""
    x = _Scale(0, len(weeks), 44, 750)
    wide = max((x.end - x.start) / len(weeks) - 2, 1)
    panels = (
        ("enrolled", 16, 120, [(week.treated, week.holdout) for week in weeks]),
        (
            "came back",
            152,
            256,
            [(week.treated_converted, week.holdout_converted) for week in weeks],
        ),
    )
    parts: list[Markup] = []
    for name, top, bottom, columns in panels:
        y = _Scale(0, max(1, *map(sum, columns)) * 1.05, bottom, top)
        parts += _grid(y, ticks(0, y.high, about=3), x, "")
        parts.append(_text(x.start, top - 4, name, "name"))
        for place, (treated, holdout) in enumerate(columns):
            parts += [
                _rect(x(place) + 1, y(treated), wide, bottom - y(treated), "treated"),
                _rect(
                    x(place) + 1,
                    y(treated + holdout),
                    wide,
                    y(treated) - y(treated + holdout),
                    "holdout",
                ),
            ]
    parts += [
        _text(x(place), 274, f"{day:%b %Y}" if day.month == 1 else f"{day:%b}", "label")
        for place, day in _months(weeks)
    ]
    said = (
        f"{sum(week.treated for week in weeks)} treated and "
        f"{sum(week.holdout for week in weeks)} of the holdout enrolled in {len(weeks)} weeks from "
        f"{weeks[0].begins_on}; {sum(week.treated_converted for week in weeks)} and "
        f"{sum(week.holdout_converted for week in weeks)} came back"
    )
    return _svg(282, "Week by week", said, parts)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Give round values between two ends, about so many."""
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(step for step in (1, 2, 5, 10) if step * power >= rough) * power
    first = math.ceil(low / step)
    return [round(number * step, 10) for number in range(first, math.floor(high / step) + 1)]


def _months(weeks: Sequence[Week]) -> Iterator[tuple[int, date]]:
    """Give the weeks that are labeled: the first of a month, as far apart as the words are long."""
    free_from, apart = 0, max(3, len(weeks) // 14)
    for place, week in enumerate(weeks):
        is_first = place == 0 or weeks[place - 1].begins_on.month != week.begins_on.month
        if is_first and place >= free_from:
            free_from = place + apart + (2 if week.begins_on.month == 1 else 0)
            yield place, week.begins_on


def _grid(y: _Scale, values: Sequence[float], x: _Scale, unit: str) -> Iterator[Markup]:
    for value in values:
        yield _line(x.start, y(value), x.end, y(value), "axis" if not value else "grid")
        yield _text(x.start - 8, y(value) + 4, f"{value:g}{unit}", "label", "end")


def _anchor(value: float) -> str:
    return "middle" if value else "start"


def _svg(height: float, title: str, said: str, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>').format(
        _WIDTH, height, f"{title}: {said}", title
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:  # noqa: PLR0917 - two places
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(x1, y1, x2, y2, kind)


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:  # noqa: PLR0917 - a place and a size
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>').format(
        round(x, 1), round(y, 1), round(max(width, 0), 1), round(max(height, 0), 1), kind
    )


def _circle(x: float, y: float, radius: float, kind: str) -> Markup:
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}"/>').format(x, y, radius, kind)


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> Markup:  # noqa: PLR0917 - a place, words and their look
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        x, y, kind, anchor, words
    )


def _path(places: Iterator[tuple[float, float]], kind: str) -> Markup:
    drawn, before = [], None
    for x, y in places:
        drawn.append(f"M{x} {y}" if before is None else f"H{x}V{y}")
        before = y
    return Markup('<path d="{}" class="curve {}"/>').format(escape("".join(drawn)), kind)
