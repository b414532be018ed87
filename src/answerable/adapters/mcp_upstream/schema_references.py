"""Limit how often an input schema refers to its own parts, because a compiler may compile a part again for each use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors.codes.documents import SCHEMA_REFERENCES

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

USES_MAX: Final = 2_000
CHAIN_MAX: Final = 100
"""Limit of nested references on one path."""


def require_few_references(schema: dict[str, JSONValue]) -> None:
    """Refuse schemas whose references expand exponentially: compiling one could block the event loop for hours.

    A part that refers back to itself counts once per path. Raises Malformed (`schema.references`).
    """
    _Uses(schema).count(schema, ())


class _Uses:
    def __init__(self, root: dict[str, JSONValue]) -> None:
        self._root = root
        self._left = USES_MAX
        self._anchors: dict[str, JSONValue] = {}
        self._note(root)

    def _note(self, part: JSONValue) -> None:
        if isinstance(part, dict):
            for name in ("$anchor", "$dynamicAnchor"):
                if isinstance(anchor := part.get(name), str):
                    self._anchors.setdefault(f"#{anchor}", part)
        for below in _below(part):
            self._note(below)

    def count(self, part: JSONValue, on_the_way: tuple[str, ...]) -> None:
        """Follow each use of each reference, including repeated ones, up to the limit."""
        if isinstance(part, dict):
            for name in ("$ref", "$dynamicRef", "$recursiveRef"):
                if isinstance(reference := part.get(name), str) and reference not in on_the_way:
                    self._left -= 1
                    if self._left < 0 or len(on_the_way) >= CHAIN_MAX:
                        raise SCHEMA_REFERENCES(
                            f"the references of an input schema expand to more than {USES_MAX} "
                            f"uses or a chain of {CHAIN_MAX}: use fewer"
                        )
                    self.count(self._target(reference), (*on_the_way, reference))
        for below in _below(part, definitions=False):
            self.count(below, on_the_way)

    def _target(self, reference: str) -> JSONValue:
        if reference in self._anchors:
            return self._anchors[reference]
        place: JSONValue = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(place, dict):
                place = place.get(name)
            elif isinstance(place, list) and name.isdecimal() and int(name) < len(place):
                place = place[int(name)]
            else:
                return None
        return place


def _below(part: JSONValue, *, definitions: bool = True) -> list[JSONValue]:
    if isinstance(part, dict):
        return [value for name, value in part.items() if definitions or name not in ("$defs", "definitions")]
    return part if isinstance(part, list) else []
