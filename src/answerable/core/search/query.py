"""Parse a search: words `field:value`, joined by `and`.

Laws: the same words mean the same at every endpoint; a word that is not understood is an error that says what to write,
never a word that is left out. Several words of one field mean any of them; several words of `text` mean all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from answerable.core.action.outcome import OutcomeStatus
from answerable.core.lease.name import checked_lease_name, lease_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import ACTIONS, kinds_of, words_in
from answerable.core.search.fields import BY_NAME, FIELDS
from answerable.errors import Malformed, shown
from answerable.errors.codes.search import (
    SEARCH_CURSOR,
    SEARCH_FIELD,
    SEARCH_LIMIT,
    SEARCH_LONG,
    SEARCH_TIME,
    SEARCH_VALUE,
    SEARCH_WORD,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS_MAX: Final = 32
VALUE_CHARS_MAX: Final = 500
LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 1_000
ROWS_DEFAULT: Final = 10
AMOUNT_MAX: Final = 2**53

NAME_OF_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z_-]*)[:<>]")
"""How a word with a field begins."""
_WORD: Final = re.compile(r"([A-Za-z][A-Za-z_-]*)([:<>])(.*)", re.DOTALL)
_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_MILLIS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PIECE: Final = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+|(?P<open>")')
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CURSOR: Final = re.compile(r"([0-9]{1,16})\.([0-9]{1,16})")
_ACTION: Final = re.compile(r"(?:[0-9a-f]{1,32}|[0-9a-hjkmnp-tv-z]{1,26})…?")
"""Id of an action, of a refused one, or the beginning of either."""

CLOSED: Final = {
    "decision": tuple(decision for decision, _ in ACTIONS.values()),
    "outcome": (*get_args(OutcomeStatus), *(outcome for _, outcome in ACTIONS.values())),
    "kind": kinds_of(Tag),
}
"""Fields that have no other values than these."""
_LATER_KIND: Final = re.compile(r"tag [1-9][0-9]{0,4}")
"""A type of entry that a later version wrote."""


class Term(NamedTuple):
    """A field that must have one of these values."""

    field: str
    values: tuple[str, ...]


class AmountTerm(NamedTuple):
    """A condition on the amount: above, below or equal to a number."""

    sign: str
    number: int

    def holds(self, amount: int | None) -> bool:
        """Whether this amount meets the condition; an entry without an amount never does."""
        if amount is None:
            return False
        if self.sign == ":":
            return amount == self.number
        return amount > self.number if self.sign == ">" else amount < self.number


class Cursor(NamedTuple):
    """The place after which a page begins: time and index of the last entry of the page before."""

    at: int
    entry: int

    def formatted(self) -> str:
        """Return the cursor as it is handed out."""
        return f"{self.at}.{self.entry}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What an entry must meet: all of it. since, until: Unix milliseconds, the first included, the second not."""

    terms: tuple[Term, ...] = ()
    amounts: tuple[AmountTerm, ...] = ()
    since: int | None = None
    until: int | None = None


def parsed_query(words: Sequence[str], *, now: int) -> Query:
    """Parse words, one `field:value` each. now: Unix milliseconds, for relative times; 0 where only their form matters.

    Raises Malformed (`search.word`, `search.field`, `search.value`, `search.time`, `search.long`).
    """
    if len(words) > WORDS_MAX:
        raise SEARCH_LONG(f"a search has at most {WORDS_MAX} words, got {len(words)}")
    values: dict[str, list[str]] = {}
    query = Query()
    for word in words:
        name, sign, value = _split(word)
        if name == "amount":
            query = replace(query, amounts=(*query.amounts, AmountTerm(sign, _number(value))))
        elif sign != ":":
            raise SEARCH_WORD(f"only an amount is compared: write `{name}:VALUE`")
        elif name == "since":
            query = replace(query, since=max(moment(value, now=now), query.since or 0))
        elif name == "until":
            until = moment(value, now=now)
            query = replace(query, until=until if query.until is None else min(until, query.until))
        elif name == "text":
            query = replace(
                query, terms=(*query.terms, *(Term("text", (one,)) for one in _text_words(value)))
            )
        else:
            values.setdefault(name, []).append(_normal(name, value))
    if now and query.until is not None and query.until <= (query.since or 0):
        raise SEARCH_TIME(
            "the time that is searched ends before it begins: name an earlier `since`, or a later `until`"
        )
    terms = tuple(Term(name, tuple(dict.fromkeys(found))) for name, found in values.items())
    return replace(query, terms=(*terms, *query.terms))


def split_words(text: str) -> tuple[str, ...]:
    r"""Split one line into words. Space inside double quotes belongs to the word; `\"` is a quote there.

    Raises Malformed (`search.word`) for a quote without an end.
    """
    found: list[str] = []
    for piece in _PIECE.finditer(text):
        if piece["open"] is not None:
            raise SEARCH_WORD('a quote is not closed: write `field:"two words"`')
        found.append(_QUOTED.sub(lambda one: re.sub(r"\\(.)", r"\1", one[1]), piece[0]))
    return tuple(found)


def joined_words(words: Sequence[str]) -> str:
    """Return one line that `split_words` splits into these words."""
    return " ".join('"' + re.sub(r'([\\"])', r"\\\1", one) + '"' for one in words)


def moment(text: str, *, now: int) -> int:
    """Return a time in Unix milliseconds: RFC 3339, a day, or how long ago. Raises Malformed (`search.time`)."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return max(0, now - int(ago[1]) * _MILLIS[ago[2]])
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is None and len(text) == len("2026-12-01"):
            when = when.replace(tzinfo=UTC)
        if when.tzinfo is not None:
            return max(0, int(when.timestamp() * 1000))
    except (ValueError, OverflowError):
        pass
    raise SEARCH_TIME(
        f"{shown(text, 40)} is not a time: write how long ago, such as `90m`, `24h` or `7d`, a day such as "
        "`2026-12-01`, or a time with a UTC offset such as `2026-12-01T08:00Z`"
    )


def parsed_cursor(text: str) -> Cursor:
    """Parse the cursor of an earlier answer. Raises Malformed (`search.cursor`)."""
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise SEARCH_CURSOR(f"{shown(text, 40)} is not a cursor: give `next` of the answer before, unchanged")
    return Cursor(int(found[1]), int(found[2]))


def checked_limit(limit: int) -> int:
    """Return the number of hits of a page. Raises Malformed (`search.limit`)."""
    if not 1 <= limit <= LIMIT_MAX:
        raise SEARCH_LIMIT(f"a page has 1 to {LIMIT_MAX} hits, got {limit}: use the cursor for more")
    return limit


def _split(word: str) -> tuple[str, str, str]:
    found = _WORD.fullmatch(word)
    if found is None:
        raise SEARCH_WORD(
            f"{shown(word, 40)} is not `field:value`: write for example `agent:NAME`, or `text:WORD`; `timeline` and "
            "`show` take a name or the number of an entry as it is"
        )
    name, sign, value = found[1].lower().replace("_", "-"), found[2], found[3]
    if name not in BY_NAME:
        near = get_close_matches(name, BY_NAME, 1)
        advice = (
            f"did you mean `{near[0]}`?" if near else f"there are {', '.join(one.name for one in FIELDS)}"
        )
        raise SEARCH_FIELD(f"there is no field {shown(name, 40)}: {advice}")
    if not value:
        raise SEARCH_VALUE(f"`{name}` has no value: write for example `{name}:{BY_NAME[name].example}`")
    if any("\ud800" <= one <= "\udfff" for one in value):
        raise SEARCH_VALUE(f"the value of `{name}` is not Unicode text")
    if len(value) > VALUE_CHARS_MAX:
        raise SEARCH_LONG(f"a value has at most {VALUE_CHARS_MAX} characters, `{name}` has {len(value)}")
    return name, sign, value


def _normal(name: str, value: str) -> str:
    if name in CLOSED:
        return _closed(name, value)
    if name == "lease":
        try:
            return lease_of(value) or checked_lease_name(value)
        except Malformed:
            raise SEARCH_VALUE(
                f"{shown(value, 40)} is not a lease: 26 characters of a-z and 2-7, or `ans_` and these; other accounts "
                "are found by `account`"
            ) from None
    if name == "action" and not _ACTION.fullmatch(value):
        raise SEARCH_VALUE(
            f"{shown(value, 40)} is not the id of an action: 32 characters of 0-9 and a-f, or 26 of 0-9 and a-z; "
            "actions of a capability are found by `capability`"
        )
    return value


def _closed(name: str, value: str) -> str:
    """Return a value of a field with few values, in whatever case, and with spaces as answers say it."""
    plain = value.strip().lower()
    found = plain.replace(" ", "_").replace("-", "_")
    if found in CLOSED[name]:
        return found
    if name == "kind" and _LATER_KIND.fullmatch(plain):
        return plain
    near = get_close_matches(found, CLOSED[name], 1)
    advice = f"did you mean `{name}:{near[0]}`?" if near else f"there are {', '.join(CLOSED[name])}"
    raise SEARCH_VALUE(f"{shown(value, 40)} is no value of `{name}`: {advice}")


def _text_words(value: str) -> tuple[str, ...]:
    found = words_in(value)
    if not found:
        raise SEARCH_VALUE(
            f"{shown(value, 40)} has no word: a text is found by whole words of two letters or more"
        )
    return found


def _number(value: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,16}", value) or abs(int(value)) >= AMOUNT_MAX:
        raise SEARCH_VALUE(f"{shown(value, 40)} is not an amount: write a whole number, such as `amount>500`")
    return int(value)
