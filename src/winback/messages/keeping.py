"""Keep with each message what its template was given, in little room: a shop's rows stay for years.

What a run tells all of its messages alike is kept once for each content, and of the links to the
reasons only what they are made of. Together they give the whole context back, to the letter.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from winback.database.bulk import on_conflict
from winback.database.tables import SharedContext, table_of
from winback.messages.context import Context
from winback.messages.links import reason_links

_SHARED: Final = ("business", "facts")


def own_part(context: Context) -> Context:
    """Give what is kept with the message itself."""
    links = dict(context["links"])
    reasons = links["reasons"]
    why = next(iter(reasons.values()), "").partition("?")[0]
    links["reasons"] = [why, *reasons]
    own = {name: value for name, value in context.items() if name not in _SHARED}
    return own | {"links": links}


def shared_part(context: Context) -> Context:
    """Give what all messages of a run are told alike."""
    return {name: context[name] for name in _SHARED}


def whole(own: Context, shared: Context) -> Context:
    """Give back the context of which these are the parts."""
    why, *reasons = own["links"]["reasons"]
    return own | shared | {"links": own["links"] | {"reasons": reason_links(why, reasons)}}


def keep_shared(session: Session, shared: Context, *, now: datetime) -> int:
    """Give the id under which a shared part is kept, from now on if it is new.

    The caller commits it together with the messages that name it.
    """
    written = orjson.dumps(shared, option=orjson.OPT_SORT_KEYS)
    hashed = {"content_hash": sha256(written).hexdigest()}
    connection = session.connection()
    known: int | None = connection.scalar(_KNOWN, hashed)
    if known is None:
        connection.execute(_KEEP, hashed | {"content": shared, "kept_at": now})
        known = connection.scalars(_KNOWN, hashed).one()
    return known


def read_context(
    session: Session, own: Mapping[str, Any] | None, shared_id: int | None
) -> Context | None:
    """Give the whole context that a message was rendered from; None where it is gone."""
    if own is None or shared_id is None:
        return None if own is None else dict(own)
    shared: Context = session.connection().scalars(_SHARED_BY_ID, {"shared_id": shared_id}).one()
    return whole(dict(own), shared)


_TABLE: Final = table_of(SharedContext)
_KNOWN: Final = select(_TABLE.c.id).where(_TABLE.c.content_hash == bindparam("content_hash"))
_KEEP: Final = on_conflict(insert(_TABLE))
_SHARED_BY_ID: Final = select(_TABLE.c.content).where(_TABLE.c.id == bindparam("shared_id"))
