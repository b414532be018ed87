"""Parse a small, safe subset of YAML: mappings, lists, text, integers, true, false and null, with the line of every
node.

Refused, each with its line: duplicate keys, anchors and aliases, tags, merge keys, keys that are not text, and every
unquoted scalar that YAML 1.1 and 1.2 read differently (`no`, `on`, `012`, `1_000`, `1:30`, `~`) or that is no supported
JSON value (`1.5`, `.inf`). An author who means text must quote it.

The parser's events are used rather than its constructors, so that no tag constructs an object and no alias expands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import yaml

from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import YAML_SIZE, YAML_SYNTAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.canonical import JSONValue

DEPTH_MAX: Final = 16
NODES_MAX: Final = 100_000

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
_INTEGER_MAX: Final = 2**53 - 1
_AMBIGUOUS_WORDS: Final = frozenset({"yes", "no", "on", "off", "y", "n", "~", "<<", "="})
# As keys these two are coordinates of points, and no YAML reader in use interprets them otherwise.
_PLAIN_KEYS: Final = frozenset({"y", "n"})
_NUMBER_LIKE: Final = re.compile(
    r"[-+]?(?:0[0-7_]+|0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"  # octal, hexadecimal, binary
    r"|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"  # base 60
    r"|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9_]+(?:[eE][-+]?[0-9]+)?"  # decimal and floating
    r"|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class YAMLFault:
    """A fault in a YAML text. line: counted from 1."""

    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class YAMLDocument:
    """One document. lines: where each node starts, by JSON pointer; for a member of a mapping, the line of its key."""

    value: JSONValue
    lines: dict[str, int]


@dataclass(slots=True, kw_only=True)
class _State:
    faults: list[YAMLFault] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    nodes: int = 0


def load_documents(text: str) -> tuple[list[YAMLDocument], list[YAMLFault]]:
    """Return every document of a text, and every fault. Never raises; after a syntax fault the rest is not read.

    Empty documents, as between two `---`, are left out.
    """
    state = _State()
    documents: list[YAMLDocument] = []
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                state.lines = {}
                value = _node(next(events), events, state, "", 0)
                if value is not None:
                    documents.append(YAMLDocument(value=value, lines=state.lines))
    except yaml.YAMLError as error:
        state.faults.append(_syntax_fault(error))
    except Malformed as error:
        state.faults.append(YAMLFault(line=1, message=error.message))
    return documents, state.faults


def _node(event: yaml.Event, events: Iterator[yaml.Event], state: _State, path: str, depth: int) -> JSONValue:
    line = _line(event)
    state.lines.setdefault(path, line)
    state.nodes += 1
    if state.nodes > NODES_MAX or depth > DEPTH_MAX:
        raise YAML_SIZE(f"more than {NODES_MAX} values or {DEPTH_MAX} levels in one file")
    if isinstance(event, yaml.AliasEvent):
        state.faults.append(YAMLFault(line=line, message="aliases are not allowed: write the value out"))
        return None
    if not isinstance(event, yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent):
        raise YAML_SYNTAX(f"unexpected yaml event on line {line}")
    if event.anchor is not None:
        state.faults.append(
            YAMLFault(line=line, message=f"anchors are not allowed: remove `&{event.anchor}`")
        )
    if event.tag is not None:
        state.faults.append(YAMLFault(line=line, message=f"tags are not allowed: remove {shown(event.tag)}"))
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event, state)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[JSONValue] = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(_node(inner, events, state, f"{path}/{len(items)}", depth + 1))
        return items
    return _mapping(events, state, path, depth)


def _mapping(events: Iterator[yaml.Event], state: _State, path: str, depth: int) -> JSONValue:
    members: dict[str, JSONValue] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        line = _line(event)
        if (
            isinstance(event, yaml.ScalarEvent)
            and event.value in _PLAIN_KEYS
            and not (event.tag or event.anchor)
        ):
            key: JSONValue = event.value
        else:
            key = _node(event, events, state, f"{path}/", depth + 1)
            state.lines.pop(f"{path}/", None)
        if not isinstance(key, str):
            state.faults.append(YAMLFault(line=line, message="a key must be text; quote it to make it so"))
            _node(next(events), events, _State(nodes=state.nodes), path, depth + 1)
            continue
        step = key.replace("~", "~0").replace("/", "~1")
        if key in members:
            first = state.lines.get(f"{path}/{step}", line)
            message = f"key {shown(key)} is written twice, first on line {first}"
            state.faults.append(YAMLFault(line=line, message=message))
            _node(next(events), events, _State(nodes=state.nodes), path, depth + 1)
            continue
        state.lines[f"{path}/{step}"] = line
        members[key] = _node(next(events), events, state, f"{path}/{step}", depth + 1)
    return members


def _scalar(event: yaml.ScalarEvent, state: _State) -> JSONValue:
    text: str = event.value
    if event.style is not None:
        return text
    line = _line(event)
    if text in ("", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text) and abs(int(text)) <= _INTEGER_MAX and text != "-0":
        return int(text)
    lower = text.lower()
    if lower in _AMBIGUOUS_WORDS or lower in ("true", "false", "null"):
        message = f"{shown(text)} is read differently by different versions of YAML: write true or false, or quote it"
        state.faults.append(YAMLFault(line=line, message=message))
    elif _NUMBER_LIKE.fullmatch(text):
        message = f"{shown(text)} is not a plain whole number: quote it if it is text"
        state.faults.append(YAMLFault(line=line, message=message))
    return text


def _line(event: yaml.Event) -> int:
    """Return the line, counted from 1. The parser marks every event, although its types do not say so."""
    return 1 if event.start_mark is None else event.start_mark.line + 1


def _syntax_fault(error: yaml.YAMLError) -> YAMLFault:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read")
    line = mark.line + 1 if isinstance(mark, yaml.Mark) else 1
    if "'\\t'" in problem:
        return YAMLFault(line=line, message="a tab is used for indentation: use spaces")
    return YAMLFault(line=line, message=f"not yaml: {problem.replace(chr(10), ' ')}")
