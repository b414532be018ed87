"""Ask the ledger by its index: searches, stories, names, accounts, and what was out of scope.

Each question is checked here and answered by another process: nothing of the ledger is read in this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api.search_answers import (
    AccountsAnswer,
    NameAnswer,
    ScopeAnswer,
    SearchAnswer,
    StoryAnswer,
)
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT
from answerable.core.identity.names.principal import checked_name
from answerable.core.search.log_cursors import check_cursor
from answerable.core.search.names import parsed_names
from answerable.core.search.query import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    ROWS_DEFAULT,
    checked_limit,
    parsed_query,
    split_words,
)
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.forensics.count_scope import check_conditions
from answerable.ports.search_process import (
    ACCOUNTS,
    NAME,
    SCOPE,
    SEARCH,
    STORY,
    AccountsQuestion,
    NameQuestion,
    Question,
    ScopeQuestion,
    StoryQuestion,
)

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.apps.control_api.operation import Query
    from answerable.apps.control_api.schemas import Schema

QUERY_CHARS_MAX: Final = 20_000
_WORDS: Final = 'words `FIELD:VALUE`, all of which must hold; `FIELD:"two words"` for a value with a space'


def _up_to(default: int) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": default}


_QUERY: Final[Query] = (
    ("q", TEXT, _WORDS),
    ("limit", _up_to(LIMIT_DEFAULT), "most items on one page"),
    ("cursor", TEXT, "`next` of the page before"),
)
_STORY_QUERY: Final[Query] = (
    ("q", TEXT, "further names, and words `FIELD:VALUE` that narrow the story"),
    ("limit", _up_to(LIMIT_MAX), "most entries that are asked about, newest first"),
)
_SCOPE_QUERY: Final[Query] = (
    ("q", TEXT, f"{_WORDS}: agent, instance, mandate, use-case, capability, server, key, since or until"),
    ("rows", _up_to(ROWS_DEFAULT), "most rows of each table but that of weeks"),
)


@operation(
    "GET",
    "/v1/actions",
    id="search_actions",
    summary="What happened, newest first: actions with their outcome, refusals, and every other entry of the ledger",
    answer=SearchAnswer,
    query=_QUERY,
    of_index=True,
)
async def search_actions(call: Call) -> SearchAnswer:
    """Search the ledger."""
    cursor = call.query.get("cursor", "")
    words = _words(call)
    parsed_query(words, now=call.walk.clock.now())
    check_cursor(cursor)
    limit = _number(call, "limit", LIMIT_DEFAULT)
    return await call.product.searches.ask(SEARCH, Question(words=words, limit=limit, cursor=cursor))


@operation(
    "GET",
    "/v1/timeline/{name}",
    id="show_timeline",
    summary="The story of any name that a search knows, or of what meets a search; without lines for an unknown one",
    answer=StoryAnswer,
    query=_STORY_QUERY,
    of_index=True,
)
async def show_timeline(call: Call) -> StoryAnswer:
    """Tell the story of a name, or of a word of a search."""
    words = (call.path["name"], *_words(call))
    parsed_names(words, now=call.walk.clock.now())
    question = StoryQuestion(words=words, limit=_number(call, "limit", LIMIT_MAX))
    return await call.product.searches.ask(STORY, question)


@operation(
    "GET",
    "/v1/names/{name}",
    id="show_name",
    summary="What any id, name, digest or beginning of a name stands for, and what belongs to it",
    answer=NameAnswer,
    of_index=True,
)
async def show_name(call: Call) -> NameAnswer:
    """Say what a name stands for, or all that it may be."""
    name = call.path["name"]
    parsed_names([name], now=call.walk.clock.now())
    return await call.product.searches.ask(NAME, NameQuestion(name=name))


@operation(
    "GET",
    "/v1/scope",
    id="show_scope",
    summary="Attempts outside of scope, by agent, capability, use case, rule, code and week",
    answer=ScopeAnswer,
    query=_SCOPE_QUERY,
    of_index=True,
)
async def show_scope(call: Call) -> ScopeAnswer:
    """Count attempts outside of scope."""
    words = _words(call)
    check_conditions(parsed_query(words, now=call.walk.clock.now()))
    question = ScopeQuestion(words=words, rows=_number(call, "rows", ROWS_DEFAULT))
    return await call.product.searches.ask(SCOPE, question)


@operation(
    "GET",
    "/v1/accounts",
    id="list_accounts",
    summary="Accounts at targets: of leases, shared, the broker's own, and those that only a target's log names",
    answer=AccountsAnswer,
    query=(("target", TEXT, "only at this target"),),
    of_index=True,
)
async def list_accounts(call: Call) -> AccountsAnswer:
    """List the accounts at targets, those first that need somebody."""
    target = call.query.get("target", "")
    if target:
        checked_name(target, what="target")
    return await call.product.searches.ask(ACCOUNTS, AccountsQuestion(target=target))


def _words(call: Call) -> tuple[str, ...]:
    """Return the words of the question. Raises Malformed (`request.query`, `search.word`)."""
    asked = call.query.get("q", "")
    if len(asked) > QUERY_CHARS_MAX:
        raise REQUEST_QUERY(f"a search has at most {QUERY_CHARS_MAX} characters, got {len(asked)}")
    return split_words(asked)


def _number(call: Call, name: str, default: int) -> int:
    """Return how much is asked for. Raises Malformed (`request.query`, `search.limit`)."""
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise REQUEST_QUERY(f"{name} must be 1 to {LIMIT_MAX}, got {shown(text)}")
    return checked_limit(int(text))


OPERATIONS: Final[tuple[Operation, ...]] = (
    search_actions,
    show_timeline,
    show_name,
    show_scope,
    list_accounts,
)
