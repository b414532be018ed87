"""What obligations read and change: annotations, arguments and the answers of upstreams, with samples to begin from."""

from __future__ import annotations

import json
from typing import Final

from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.decision.narrowing import narrowed_arguments, same
from answerable.core.decision.obligation import duties_of, obligations_in
from answerable.core.decision.shown_answer import COPY_CHARS_MIN, shown_answer
from answerable.errors import Malformed

ANNOTATIONS: Final = (
    "redact:/email; mask:/rows/*/iban?, /a~1b/~0; rows_max:/rows=10; witnessed",
    'modify:amount<=5000; modify:to in ["a", "b;c"]; modify:dry=true; notify:finance; log:digest',
)
NARROWINGS: Final = duties_of(
    obligations_in('modify:amount<=12.5; modify:tags in ["a", "b", 1, true]; modify:dry=true')
).narrow
ANSWER_DUTIES: Final = duties_of(obligations_in("redact:/email; mask:/rows/*/iban?; rows_max:/rows?=2"))
METHODS: Final = ("tools/call", "resources/read", "prompts/get", "completion/complete")
CALLS: Final[tuple[JSONValue, ...]] = (
    {"amount": 13, "tags": ["a", "c", True], "dry": False},
    {"amount": "12.50", "tags": "b"},
    {"amount": 1.5, "tags": 1, "dry": None},
)
_CUSTOMER: Final = {"email": "maria@example.com", "rows": [{"iban": "DE89 3704 0044"}, {"n": 2}, {}]}
ANSWERS: Final = (
    {"structuredContent": _CUSTOMER, "content": [{"type": "text", "text": json.dumps(_CUSTOMER)}]},
    {"content": [{"type": "text", "text": "mail maria@example.com"}], "isError": True},
    {"contents": [{"uri": "crm://1", "text": json.dumps(_CUSTOMER)}]},
    {"messages": [{"role": "user", "content": {"type": "text", "text": json.dumps([_CUSTOMER])}}]},
)


def annotation(sent: bytes) -> None:
    """Refused, or a list of obligations that is read as the same list again."""
    found = obligations_in(sent.decode("utf-8", "replace"))
    if obligations_in("; ".join(found)) != found:
        raise AssertionError(f"two spellings of {found}")


def narrowed(sent: bytes) -> None:
    """Refused, or arguments that are narrow: narrowing them again changes nothing, and no other one was touched."""
    own = parse(sent)
    if not isinstance(own, dict):
        raise Malformed("no arguments", code="arguments.not_object")
    found = narrowed_arguments(NARROWINGS, own)
    if not same(narrowed_arguments(NARROWINGS, found), found):
        raise AssertionError(f"not narrow: {found}")
    touched = {one.argument for one in NARROWINGS}
    if any(not same(value, own.get(name)) for name, value in found.items() if name not in touched):
        raise AssertionError(f"another argument changed: {found}")


def answer(sent: bytes) -> None:
    """Never raises, and the address that is to be hidden stands nowhere in what is shown."""
    result = parse(sent)
    if not isinstance(result, dict):
        raise Malformed("no answer", code="json.invalid")
    document = result.get("structuredContent")
    hidden = document.get("email") if isinstance(document, dict) else None
    known = isinstance(hidden, str) and "@" in hidden and len(hidden) >= COPY_CHARS_MIN
    for method in METHODS:
        made, told = shown_answer(result, ANSWER_DUTIES, method=method, target="crm://1")
        if "\n" in told:
            raise AssertionError("not one line")
        if known and method == "tools/call" and any(str(hidden) in text for text in _texts(made)):
            raise AssertionError(f"{hidden!r} is shown: {made}")


def _texts(value: JSONValue) -> list[str]:
    """Every text in it, those of documents in texts included."""
    if isinstance(value, str):
        try:
            inner = json.loads(value)
        except (ValueError, RecursionError):
            return [value]
        return [value, *(_texts(inner) if isinstance(inner, dict | list) else [])]
    if isinstance(value, dict):
        return [text for one in (*value, *value.values()) for text in _texts(one)]
    return [text for one in value for text in _texts(one)] if isinstance(value, list) else []


def samples() -> dict[str, tuple[bytes, ...]]:
    """Valid bytes for each of the parsers here."""
    return {
        "annotation": tuple(one.encode() for one in ANNOTATIONS),
        "narrowed": tuple(encode(one) for one in CALLS),
        "answer": tuple(json.dumps(one).encode() for one in ANSWERS),
    }
