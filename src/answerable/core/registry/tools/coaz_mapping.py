"""Read a server's own mapping of its tool to authorization: `inputSchema["x-authzen-mapping"]` (COAZ, for MCP).

Laws: the mapping is the server's claim and only ever a proposal for people to read; an expression is interpreted if it
selects one place in the arguments, or is plain text, and quoted unchanged otherwise; nothing is evaluated.

A mapping has one key, `evaluation` or `evaluations`, shaped like a body of that AuthZEN call; texts that begin with `$`
are CEL over `params` and `token`, `$$` is a dollar sign.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.pointing import POINTER
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue

MEMBER: Final = "x-authzen-mapping"
EVALUATIONS_MAX: Final = 50
_LEAVES_MAX: Final = 200
_DEPTH_MAX: Final = 12

_ROOT: Final = "params.arguments"
_STEP: Final = re.compile(
    r"\.\??([A-Za-z_][A-Za-z0-9_]*)|\[\s*(?:'([^'\\]*)'|\"([^\"\\]*)\"|([0-9]{1,4}))\s*\]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoazTerm:
    """One leaf of a mapping. place: dotted, such as `resource.id`. text: as the server wrote it. pointer: JSON pointer
    into the arguments, if it selects one place there. fixed: the plain text, if it is one."""

    place: str
    text: str
    pointer: str = ""
    fixed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoazMapping:
    """One evaluation that the server proposes."""

    terms: tuple[CoazTerm, ...]

    def term(self, place: str) -> CoazTerm | None:
        """Return the leaf at that place, or None."""
        return next((term for term in self.terms if term.place == place), None)


def coaz_mappings(schema: JSONValue) -> tuple[tuple[CoazMapping, ...], str]:
    """Return the mappings in an input schema, and why they are not understood; both empty if there is none. Never
    raises."""
    given = schema.get(MEMBER) if isinstance(schema, dict) else None
    if given is None:
        return (), ""
    if not isinstance(given, dict) or len(given) != 1:
        return (), f"`{MEMBER}` must have one key, `evaluation` or `evaluations`"
    ((key, body),) = given.items()
    if key == "evaluation" and isinstance(body, dict):
        return (_mapping({}, body),), ""
    if key == "evaluations" and isinstance(body, dict) and isinstance(body.get("evaluations"), list):
        items = body["evaluations"]
        assert isinstance(items, list)  # noqa: S101 - as just seen
        if len(items) > EVALUATIONS_MAX or not all(isinstance(one, dict) for one in items):
            return (), f"`{MEMBER}` must have at most {EVALUATIONS_MAX} evaluations, each an object"
        shared = {name: value for name, value in body.items() if name != "evaluations"}
        return tuple(_mapping(shared, one) for one in items if isinstance(one, dict)), ""
    return (), f"`{MEMBER}` has {shown(key)}, which is not understood"


def pointer_of(expression: str) -> str:
    """Return the JSON pointer for a CEL expression that only selects from the arguments; empty otherwise."""
    text = expression.strip()
    if not text.startswith(_ROOT):
        return ""
    rest, pointer = text[len(_ROOT) :], ""
    while rest:
        found = _STEP.match(rest)
        if found is None:
            return ""
        step = next((one for one in found.groups() if one is not None), "")
        pointer += "/" + step.replace("~", "~0").replace("/", "~1")
        rest = rest[found.end() :]
    return pointer if POINTER.fullmatch(pointer) else ""


def _mapping(shared: Mapping[str, JSONValue], body: Mapping[str, JSONValue]) -> CoazMapping:
    merged = {**shared, **body}
    terms: list[CoazTerm] = []
    for place, value in _leaves(merged, "", depth=0):
        if len(terms) >= _LEAVES_MAX:
            break
        if value.startswith("$$"):
            terms.append(CoazTerm(place=place, text=value, fixed=value[1:]))
        elif value.startswith("$"):
            terms.append(CoazTerm(place=place, text=value, pointer=pointer_of(value[1:])))
        else:
            terms.append(CoazTerm(place=place, text=value, fixed=value))
    return CoazMapping(terms=tuple(terms))


def _leaves(value: JSONValue, place: str, *, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict) and depth < _DEPTH_MAX:
        for name, below in value.items():
            yield from _leaves(below, f"{place}.{name}" if place else name, depth=depth + 1)
