"""Render the result of a dry run as lines of label and text, for the `effect` of a card.

A server's answer is an untrusted claim: labels are ours, the server's content is only in texts, quoted where it could
be mistaken for ours, and the first line states the source and time. Members of a structured answer that every server
may use:

| member       | is                                                                                      |
|--------------|-----------------------------------------------------------------------------------------|
| `rows`       | a number: how many would be touched; with `"estimate": true` it is marked as an estimate |
| `amount`     | `{"minor": 500000, "currency": "EUR"}`                                                  |
| `recipients` | a list of texts                                                                         |
| `diff`       | a list of `{"path", "before", "after"}`, or the text of a unified diff                  |
| `present`    | an object: the current values of what the arguments change, under the arguments' names  |

Any other member is listed by its name, raw. An unstructured answer is shown as its text, line by line.

Laws: bounded in lines and characters, and states what was left out; never raises; a pure function of its arguments.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.core.approval.money import money
from answerable.core.approval.visible import visible
from answerable.core.canonical import encode
from answerable.core.decision.narrowing import same
from answerable.core.registry.documents.budget_name import MONEY
from answerable.errors import AnswerableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from answerable.core.canonical import JSONValue

Lines = tuple[tuple[str, str], ...]
"""Pairs of label and text; a card spells out invisible characters in them."""

LISTED_MAX: Final = 20
"""Recipients and changes listed individually; of the others only the number is given."""
LINES_MAX: Final = 40
TEXT_CHARS_MAX: Final = 300
NAME_CHARS_MAX: Final = 80
SHOWN_CHARS_MAX: Final = 8_000
"""Of all lines together, in visible form."""
LEFT_OUT: Final = "left out"
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MINOR_MAX: Final = 2**53 - 1
_OURS: Final = ("rows", "estimate", "amount", "recipients", "diff", "present")


def destination_lines(destinations: Sequence[str]) -> Lines:
    """Return the destinations of an action, counted, where there is more than one; derived from the arguments alone."""
    if len(destinations) < 2:
        return ()
    return bounded(_listed("goes to", destinations))


def result_lines(result: Mapping[str, JSONValue], arguments: Mapping[str, JSONValue]) -> Lines:
    """Render an MCP `CallToolResult`. arguments: of the action it concerns."""
    structured = result.get("structuredContent")
    if not isinstance(structured, dict):
        return bounded(list(_text_lines(result.get("content"))))
    lines: list[tuple[str, str]] = []
    known: dict[str, Callable[[JSONValue], list[tuple[str, str]]]] = {
        "rows": partial(_rows, is_estimate=structured.get("estimate") is True),
        "amount": _amount,
        "recipients": _recipients,
        "diff": _diff,
        "present": partial(_changes, arguments=arguments),
    }
    raw = [name for name in structured if name not in _OURS]
    for name, told in known.items():
        if name in structured:
            found = told(structured[name])
            lines += found
            raw += [] if found else [name]
    lines += [("says", f"{_short(name)}: {_raw(structured[name])}") for name in raw[: LINES_MAX + 1]]
    unseen = len(raw) - LINES_MAX - 1
    return bounded(lines, more=max(0, unseen))


def bounded(lines: Sequence[tuple[str, str]], *, more: int = 0) -> Lines:
    """Return the lines that fit on a card, and how many do not. more: number of lines that were never built."""
    kept: list[tuple[str, str]] = []
    room = SHOWN_CHARS_MAX
    for label, text in lines:
        cut = _cut(text)
        room -= len(visible(label)) + len(visible(cut))
        if room < 0 or len(kept) == LINES_MAX:
            break
        kept.append((label, cut))
    missing = len(lines) - len(kept) + more
    return (
        (*kept, (LEFT_OUT, f"{missing} more lines, for which there is no room")) if missing else tuple(kept)
    )


def _rows(value: JSONValue, *, is_estimate: bool) -> list[tuple[str, str]]:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MINOR_MAX:
        return []
    return [("rows", f"about {value:,} (an estimate, not a count)" if is_estimate else f"{value:,}")]


def _amount(value: JSONValue) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return []
    minor, currency = value.get("minor"), value.get("currency")
    if isinstance(minor, bool) or not isinstance(minor, int) or abs(minor) > _MINOR_MAX:
        return []
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        return []
    sign = "-" if minor < 0 else ""
    return [("amount", f"{sign}{money(MONEY + currency, abs(minor))}")]


def _recipients(value: JSONValue) -> list[tuple[str, str]]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return []
    return _listed("recipients", [str(one) for one in value])


def _listed(label: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """List the number of texts and the first of them, on as many lines as needed."""
    lines: list[str] = []
    line = f"{len(texts)}: " if texts else "none"
    for number, one in enumerate(texts[:LISTED_MAX]):
        name = _short(one) + (", " if number + 1 < min(len(texts), LISTED_MAX) else "")
        if number and len(line) + len(name) > TEXT_CHARS_MAX:
            lines.append(line)
            line = ""
        line += name
    more = [(LEFT_OUT, f"{len(texts) - LISTED_MAX} more")] if len(texts) > LISTED_MAX else []
    return [*((label, one.rstrip()) for one in (*lines, line)), *more]


def _diff(value: JSONValue) -> list[tuple[str, str]]:
    if isinstance(value, str):
        lines = value.splitlines() or [""]
        return [
            *(("diff", _quoted(line)) for line in lines[:LISTED_MAX]),
            *_more(len(lines), "lines of the diff"),
        ]
    if not isinstance(value, list) or not all(isinstance(one, dict) and "path" in one for one in value):
        return []
    changes = [
        _change(str(one.get("path")), one.get("before"), one.get("after"))
        for one in value[:LISTED_MAX]
        if isinstance(one, dict)
    ]
    return [*changes, *_more(len(value), "changes")]


def _changes(value: JSONValue, *, arguments: Mapping[str, JSONValue]) -> list[tuple[str, str]]:
    """Compare current values with the requested arguments; values without an argument do not change."""
    if not isinstance(value, dict):
        return []
    names = [name for name in value if name in arguments]
    changes = [
        _change(name, value[name], arguments[name])
        if not same(value[name], arguments[name])
        else ("no change", f"{_short(name)}: {_raw(value[name])}")
        for name in names[:LISTED_MAX]
    ]
    beside = [("says", f"{_short(name)}: {_raw(value[name])}") for name in value if name not in arguments]
    return [*changes, *_more(len(names), "members"), *beside[:LISTED_MAX], *_more(len(beside), "members")]


def _change(path: str, before: JSONValue, after: JSONValue) -> tuple[str, str]:
    return "change", f"{_short(path)}: {_raw(before)} → {_raw(after)}"


def _more(count: int, what: str) -> list[tuple[str, str]]:
    return [(LEFT_OUT, f"{count - LISTED_MAX} more {what}")] if count > LISTED_MAX else []


def _text_lines(content: JSONValue) -> Iterator[tuple[str, str]]:
    """Yield the text of an unstructured answer; for an image or a sound only its type."""
    for block in content if isinstance(content, list) else []:
        text = block.get("text") if isinstance(block, dict) else None
        if not isinstance(text, str):
            kind = block.get("type") if isinstance(block, dict) else None
            yield LEFT_OUT, f"content of type {_short(str(kind))}"
            continue
        # Text past the size limit is not split into lines.
        for line in text[: SHOWN_CHARS_MAX + 1].splitlines():
            yield "says", _quoted(line)
        if len(text) > SHOWN_CHARS_MAX:
            yield LEFT_OUT, f"{len(text) - SHOWN_CHARS_MAX:,} more characters"


def _short(text: str) -> str:
    return _quoted(text if len(text) <= NAME_CHARS_MAX else text[:NAME_CHARS_MAX] + "…")


def _raw(value: JSONValue) -> str:
    if isinstance(value, str):
        return _quoted(value[: TEXT_CHARS_MAX + 1])
    try:
        return encode(value).decode()
    except AnswerableError:
        return "something that has no canonical form"


def _quoted(text: str) -> str:
    """Quote the text, so that it cannot continue as if it were ours."""
    try:
        return encode(text).decode()
    except AnswerableError:
        # A lone surrogate, which JSON cannot contain.
        return encode(text.encode("utf-8", "replace").decode()).decode()


def _cut(text: str) -> str:
    """Cut the text and state how much was cut, and bound the length of its visible form, too."""
    kept = text[:TEXT_CHARS_MAX]
    while len(visible(kept)) > 2 * TEXT_CHARS_MAX:
        kept = kept[: len(kept) // 2]
    return text if kept == text else f"{kept}… ({len(text) - len(kept):,} more characters)"
