"""SendGrid's suppression lists: whom it writes to no more (FACTS.md SG-40).

Paths, parameters and fields follow the published description (tsg_suppressions_v3.json); the order,
newest first, and the wording of refusals are guesses.
"""

from collections.abc import Mapping
from typing import Any, Final

from winback.sandbox.entries import Entry
from winback.sandbox.mail_desk import error_body
from winback.sandbox.record import Record

_GROUPS: Final = "/v3/asm/suppressions"
_LISTS: Final[Mapping[str, str]] = {
    _GROUPS: "groups",
    **{
        f"/v3/suppression/{name}": name
        for name in ("unsubscribes", "spam_reports", "bounces", "invalid_emails")
    },
}
CALLS: Final = frozenset(("GET", path) for path in _LISTS)
"""Method and path of each list."""

_LARGEST_PAGE: Final = 500
_END_OF_TIME: Final = 2**62


def answer(path: str, query: Mapping[str, str], record: Record) -> tuple[int, Any]:
    """Answer a call for one of the lists; that of the groups has neither times nor pages."""
    name = _LISTS[path]
    if path == _GROUPS:
        entries = record.listed(name, since=0, until=_END_OF_TIME)
        return 200, [_shown(one, "created_at") for one in entries]
    try:
        since, until = int(query.get("start_time", 0)), int(query.get("end_time", _END_OF_TIME))
        limit, offset = int(query.get("limit", _LARGEST_PAGE)), int(query.get("offset", 0))
    except ValueError:
        return 400, error_body("times, limit and offset are whole numbers")
    if not 1 <= limit <= _LARGEST_PAGE or offset < 0:
        return 400, error_body("the limit is from 1 to 500, the offset from 0", "limit")
    entries = record.listed(name, since=since, until=until, limit=limit, offset=offset)
    return 200, [_shown(one, "created") for one in entries]


def _shown(one: Entry, created: str) -> dict[str, Any]:
    return {"email": one.address, created: one.at, **one.fields}
