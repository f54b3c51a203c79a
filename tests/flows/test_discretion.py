"""What Prefect keeps of an error: its kind, place and advice, and nobody's data."""

import asyncio
import logging
import traceback
from typing import cast

import pytest
from prefect.states import exception_to_failed_state
from sqlalchemy.exc import IntegrityError

from winback.day import Day
from winback.errors import ConfigError, FileMistakes, Mistake, SourceError, ToldDiscreetly
from winback.orchestration import opened_day, within


def raised_by_a_stage(error: Exception) -> ToldDiscreetly:
    """Let a stage fail inside a task inside a flow, and give what Prefect gets."""

    async def flow() -> None:
        async with opened_day(None), opened_day(None):
            raise error

    with within(cast(Day, object())), pytest.raises(ToldDiscreetly) as raised:
        asyncio.run(flow())
    return raised.value


def kept_of(error: Exception) -> str:
    """Give everything that Prefect writes down of an error: state, log and traceback."""
    told = raised_by_a_stage(error)
    state = asyncio.run(exception_to_failed_state(told))
    logged = logging.Formatter().formatException((type(told), told, told.__traceback__))
    return "\n".join([str(state.message), logged, *traceback.format_exception(told)])


@pytest.mark.parametrize(
    ("error", "says"),
    [
        pytest.param(
            SourceError(
                "till: a.csv is not UTF-8: line 3, column 'first' holds 'Zoë Oakley'",
                discreet="till: a.csv is not UTF-8: line 3, column 'first'",
            ),
            "till: a.csv is not UTF-8: line 3, column 'first'",
            id="a value of a row",
        ),
        pytest.param(
            FileMistakes([Mistake("config/sources.yaml", 7, "found 'Zoë Oakley'", "mend it")]),
            "mistakes in config/sources.yaml:7; winback check tells them",
            id="a value of a file",
        ),
        pytest.param(
            ConfigError("no answer at postgresql://Zoë:Oakley@db/shop"),
            "no answer at postgresql://Zoë:***@db/shop",
            id="a password",
        ),
        pytest.param(
            IntegrityError("insert", {"name": "Zoë Oakley"}, ValueError("Key (Zoë Oakley)")),
            "IntegrityError",
            id="the words of a driver",
        ),
    ],
)
def test_prefect_keeps_no_value_of_an_error(error: Exception, says: str) -> None:
    """SEC-22: state message, log and traceback tell kind and place, and nobody's data."""
    kept = kept_of(error)

    assert says in kept
    assert "Oakley" not in kept


def test_the_terminal_can_still_show_the_whole_sentence() -> None:
    """What Prefect is not told goes to the person who ran the day by hand."""
    error = SourceError("holds 'Zoë'", discreet="holds a value")

    assert raised_by_a_stage(error).__context__ is error
