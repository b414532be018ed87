"""Search the ledger: actions, refusals and everything else that was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api.search_answers import SearchAnswer
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT
from answerable.core.search.query import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    checked_limit,
    parsed_cursor,
    parsed_query,
    split_words,
)
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.apps.control_api.operation import Query

QUERY_CHARS_MAX: Final = 20_000
_QUERY: Final[Query] = (
    ("q", TEXT, 'words `FIELD:VALUE`, all of which must hold; `FIELD:"two words"` for a value with a space'),
    (
        "limit",
        {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
        "most items on one page",
    ),
    ("cursor", TEXT, "`next` of the page before"),
)


@operation(
    "GET",
    "/v1/actions",
    id="search_actions",
    summary="What happened, newest first: actions with their outcome, refusals, and every other entry of the ledger",
    answer=SearchAnswer,
    query=_QUERY,
    is_long=True,
)
async def search_actions(call: Call) -> SearchAnswer:
    """Search the ledger. The question is checked here and answered by another process: nothing is read in this one."""
    asked, cursor = call.query.get("q", ""), call.query.get("cursor", "")
    if len(asked) > QUERY_CHARS_MAX:
        raise REQUEST_QUERY(f"a search has at most {QUERY_CHARS_MAX} characters, got {len(asked)}")
    words = split_words(asked)
    parsed_query(words, now=call.walk.clock.now())
    if cursor:
        parsed_cursor(cursor)
    limit = call.query.get("limit", str(LIMIT_DEFAULT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 6):
        raise REQUEST_QUERY(f"limit must be 1 to {LIMIT_MAX}, got {shown(limit)}")
    return await call.product.searches.search(words, limit=checked_limit(int(limit)), cursor=cursor)


OPERATIONS: Final[tuple[Operation, ...]] = (search_actions,)
