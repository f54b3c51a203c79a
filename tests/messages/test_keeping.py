"""What is kept with a message is small, and gives back all that its template was told."""

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from winback.database.tables import SharedContext
from winback.messages.context import Context
from winback.messages.keeping import keep_shared, own_part, read_context, shared_part, whole
from winback.messages.sample import sample_context, sample_voucher

from .kit import plain


@pytest.fixture(params=[False, True], ids=["mail", "text"])
def context(request: pytest.FixtureRequest) -> Context:
    """Give what a template is told, with the links of a mail and the short ones of a text."""
    return sample_context(plain(), voucher=sample_voucher(), is_short=request.param)


def through_json(value: Context) -> Context:
    """Give what a database gives back, its keys in another order."""
    back: Context = json.loads(json.dumps(value, sort_keys=True))
    return back


def test_both_parts_give_the_whole_back(context: Context) -> None:
    """A message can be reproduced exactly, long after."""
    own, shared = own_part(context), shared_part(context)

    assert whole(through_json(own), through_json(shared)) == context


def test_the_message_itself_keeps_less_than_half(context: Context) -> None:
    """Business, facts and eight links of one page are not written a hundred thousand times."""
    own = own_part(context)

    assert not own.keys() & shared_part(context).keys()
    assert len(json.dumps(own)) < len(json.dumps(context)) / 2
    assert context["links"]["reasons"], "the context itself stays as it was"


def test_the_same_content_is_kept_once(session: Session, context: Context, now: datetime) -> None:
    """However many claims, and whichever order the keys have; another fact is another content."""
    shared = shared_part(context)

    first = keep_shared(session, shared, now=now)
    again = keep_shared(session, through_json(shared), now=now + timedelta(days=1))
    other = keep_shared(session, shared | {"facts": {}}, now=now)

    assert again == first != other
    assert session.scalar(select(func.count()).select_from(SharedContext)) == 2


def test_it_is_read_back_whole(session: Session, context: Context, now: datetime) -> None:
    """By the id that the message's row names."""
    shared_id = keep_shared(session, shared_part(context), now=now)

    assert read_context(session, through_json(own_part(context)), shared_id) == context


def test_what_earlier_versions_kept_whole_is_read_too(session: Session, context: Context) -> None:
    """Their rows name no shared part; after an erasure nothing is left."""
    assert read_context(session, context, None) == context
    assert read_context(session, None, None) is None
    assert read_context(session, None, 1) is None
