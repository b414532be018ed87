"""Describe the differences between two definitions of a tool, in words that its owner can judge.

Laws: every difference is reported: a difference without words of its own by the name of its member, with the lines of
both texts beside it; text from the server cannot move, hide or reorder what is presented; changes that claim less risk,
and changes of what models read, are marked as grave.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.registry.tools.tool_arguments import ToolArgument, arguments_in
from answerable.core.registry.tools.tool_hints import HINTS, RISKY, hints_of
from answerable.core.registry.tools.tool_names import look_alikes
from answerable.core.registry.tools.unseen import unseen_in
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from answerable.core.canonical import JSONValue

CHANGES_MAX: Final = 200
LINES_MAX: Final = 2_000
VALUE_CHARS_MAX: Final = 200
TEXT_CHARS_MAX: Final = 4_000

ChangeKind = Literal[
    "added", "description", "argument", "hint", "name", "title", "output", "hidden_text", "mapping", "other"
]
_TOLD: Final = frozenset({"name", "description", "title", "inputSchema", "annotations", "outputSchema"})
_OF_CHANGES: Final = ("destructiveHint", "idempotentHint")
"""Hints that a read-only tool need not give, since they concern what it changes."""
_INDENT: Final = "    "


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChange:
    """One difference. text: one sentence without a full stop. grave: deserves special attention."""

    kind: ChangeKind
    text: str
    grave: bool = False


def tool_changes(
    old: JSONValue,
    new: JSONValue,
    *,
    server: str,
    neighbours: Iterable[tuple[str, str]] = (),
    unhinted_accepted: bool = False,
) -> tuple[ToolChange, ...]:
    """Return everything that differs, gravest first.

    old: None if no definition is in force. neighbours: server and name of other tools. unhinted_accepted: whether a
    capability of the tool accepts omitted hints. Never raises; empty only for equal definitions.
    """
    # Compare the JSON texts, since `True == 1` in Python.
    if _lines(old) == _lines(new):
        return ()
    found = [
        *_changes(old, new, server=server, neighbours=neighbours),
        *_hint_changes(old, new, unhinted_accepted),
    ]
    if not found:
        found = [ToolChange(kind="other", text="it differs in what no words stand for: see the lines")]
    return tuple(sorted(found, key=lambda change: not change.grave)[:CHANGES_MAX])


def tool_lines(old: JSONValue, new: JSONValue) -> tuple[str, ...]:
    """Return a diff of both definitions as indented JSON: ` ` the same, `-` only before, `+` only now. It contains all
    differences, with two lines of context; at most LINES_MAX lines, and the last one says so."""
    before, after = _lines(old) if old is not None else [], _lines(new) if new is not None else []
    lines = [line for line in unified_diff(before, after, lineterm="", n=2) if line[:3] not in ("---", "+++")]
    if len(lines) > LINES_MAX:
        return (*lines[:LINES_MAX], f"@@ and {len(lines) - LINES_MAX} more lines @@")
    return tuple(lines)


def _changes(
    old: JSONValue, new: JSONValue, *, server: str, neighbours: Iterable[tuple[str, str]]
) -> Iterator[ToolChange]:
    was = old if isinstance(old, dict) else {}
    now = new if isinstance(new, dict) else {}
    if old is None:
        yield ToolChange(kind="added", text="no definition of it is in force yet")
        for other in look_alikes(str(now.get("name", "")), server=server, neighbours=neighbours):
            yield ToolChange(kind="name", text=other, grave=True)
    if was.get("name", now.get("name")) != now.get("name"):
        yield ToolChange(kind="name", text=f"its name is {_value(now.get('name'))} now", grave=True)
    yield from _text_changes("description", was, now, is_new=old is None)
    yield from _text_changes("title", was, now, is_new=old is None)
    yield from _argument_changes(was.get("inputSchema"), now.get("inputSchema"), is_new=old is None)
    if was.get("outputSchema") != now.get("outputSchema"):
        yield ToolChange(kind="output", text="what it answers with is described otherwise (`outputSchema`)")
    for name in sorted((was.keys() | now.keys()) - _TOLD):
        if was.get(name) != now.get(name):
            how = "is new" if name not in was else "is gone" if name not in now else "is another"
            yield ToolChange(kind="other", text=f"member {shown(name)} {how}")
    yield from _hidden(was, now)


def _text_changes(
    name: Literal["description", "title"],
    was: Mapping[str, JSONValue],
    now: Mapping[str, JSONValue],
    *,
    is_new: bool,
) -> Iterator[ToolChange]:
    before, after = was.get(name), now.get(name)
    if before == after:
        return
    told = f"its {name}, which models read, is now {_value(after, TEXT_CHARS_MAX)}"
    if after is None:
        told = f"its {name} is gone"
    elif before is not None:
        told += f"; before it was {_value(before, TEXT_CHARS_MAX)}"
    yield ToolChange(kind=name, text=told, grave=not is_new and name == "description")


def _hint_changes(old: JSONValue, new: JSONValue, accepted: bool) -> Iterator[ToolChange]:
    """Describe changes of hints. accepted: omitted hints are accepted, so omitting a hint counts as its harmless
    value."""
    before, after = hints_of(old).said(), hints_of(new).said()
    for name in HINTS:
        risky = RISKY[name]
        had, has = before.get(name), after.get(name)
        if old is None:
            if has is None:
                if after.get("readOnlyHint") and name in _OF_CHANGES:
                    continue
                told = f"the server does not say {name}: "
                told += "its capability accepts that" if accepted else f"it counts as {_truth(risky)}"
                yield ToolChange(kind="hint", text=told, grave=accepted)
            else:
                yield ToolChange(kind="hint", text=f"the server says {name} {_truth(has)}")
            continue
        if had == has:
            continue
        less = (had is None or had == risky) and (accepted if has is None else has != risky)
        told = f"{name} was {_said(had)} and is {_said(has)}"
        if less:
            told = f"the server claims less risk than before: {told}"
        yield ToolChange(kind="hint", text=told, grave=less)
    given, gave = _annotations(new), _annotations(old)
    if {k: v for k, v in given.items() if k not in HINTS} != {
        k: v for k, v in gave.items() if k not in HINTS
    }:
        yield ToolChange(kind="hint", text="other `annotations` than before")


def _argument_changes(before: JSONValue, after: JSONValue, *, is_new: bool) -> Iterator[ToolChange]:
    if before == after:
        return
    had, has = arguments_in(before), arguments_in(after)
    told = False
    for path in (*had, *(path for path in has if path not in had)):
        for change in _argument_change(path, had.get(path), has.get(path), is_new=is_new):
            told = True
            yield change
    if had.cut or has.cut:
        told = True
        yield ToolChange(
            kind="argument",
            text="it has more arguments, or deeper ones, than are compared: read its schema",
            grave=not is_new,
        )
    was = before.get("x-authzen-mapping") if isinstance(before, dict) else None
    now = after.get("x-authzen-mapping") if isinstance(after, dict) else None
    if was != now:
        told = True
        yield ToolChange(
            kind="mapping", text="its own mapping to authorization is another (`x-authzen-mapping`)"
        )
    if not told or _open(before) != _open(after):
        text = (
            "it takes arguments that it does not name"
            if _open(after)
            else "its arguments are described otherwise"
        )
        yield ToolChange(kind="argument", text=text, grave=_open(after) and not _open(before))


def _argument_change(
    path: str, had: ToolArgument | None, has: ToolArgument | None, *, is_new: bool
) -> Iterator[ToolChange]:
    name = shown(path)
    if has is None:
        yield ToolChange(kind="argument", text=f"argument {name} is gone")
        return
    if had is None:
        needed = "needed" if has.required else "optional"
        said = f": {_value(has.description)}" if has.description else ""
        text = f"argument {name}, {has.type}, {needed}{said}"
        yield ToolChange(kind="argument", text=text if is_new else f"new {text}", grave=not is_new)
        return
    if had.type != has.type:
        yield ToolChange(
            kind="argument", text=f"argument {name} was {had.type} and is {has.type}", grave=True
        )
    if had.required != has.required:
        now = "needed" if has.required else "optional"
        yield ToolChange(kind="argument", text=f"argument {name} is {now} now")
    if had.description != has.description:
        text = f"the description of argument {name}, which models read, is now {_value(has.description)}"
        yield ToolChange(kind="argument", text=f"{text}; before it was {_value(had.description)}", grave=True)
    for keyword in sorted(had.bounds.keys() | has.bounds.keys()):
        before, after = had.bounds.get(keyword), has.bounds.get(keyword)
        if before != after:
            text = f"`{keyword}` of argument {name} was {_value(before)} and is {_value(after)}"
            yield ToolChange(kind="argument", text=text, grave=after is None)
    if had.open != has.open:
        how = "takes members that it does not name now" if has.open else "takes named members only now"
        yield ToolChange(kind="argument", text=f"argument {name} {how}", grave=has.open)


def _hidden(was: dict[str, JSONValue], now: dict[str, JSONValue]) -> Iterator[ToolChange]:
    """Report characters that people do not see and models read, if there are more of any than before."""
    unseen = _unseen(now) - _unseen(was)
    if unseen:
        codes = ", ".join(f"U+{ord(one):04X}" for one in sorted(unseen)[:8])
        yield ToolChange(
            kind="hidden_text", text=f"it holds characters that nobody sees: {codes}", grave=True
        )


def _unseen(value: JSONValue) -> Counter[str]:
    pending: list[JSONValue] = [value]
    found: Counter[str] = Counter()
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            found.update(character for _, character in unseen_in(one))
        elif isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            pending += [*one.keys(), *one.values()]
    return found


def _annotations(tool: JSONValue) -> Mapping[str, JSONValue]:
    given = tool.get("annotations") if isinstance(tool, dict) else None
    return given if isinstance(given, dict) else {}


def _open(schema: JSONValue) -> bool:
    extra = schema.get("additionalProperties") if isinstance(schema, dict) else None
    return extra is True or isinstance(extra, dict)


def _lines(value: JSONValue) -> list[str]:
    # `splitlines` would also split at separators inside texts, and let a server inject lines.
    return json.dumps(value, ensure_ascii=False, indent=len(_INDENT), sort_keys=True).split("\n")


def _value(value: JSONValue, chars_max: int = VALUE_CHARS_MAX) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return shown(text, chars_max)


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _said(value: bool | None) -> str:
    return "not said" if value is None else _truth(value)
