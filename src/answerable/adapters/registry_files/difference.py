"""Describe the changes between two sets of stored documents, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.canonical import encode, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue

VALUE_CHARS_SHOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of one document. key: `kind/name`. lines: `path: old → new` for each field, and unified diff lines for
    multi-line texts."""

    kind: Literal["added", "removed", "changed"]
    key: str
    lines: tuple[str, ...]


def diff(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[Change]:
    """Return the changes in order of `kind/name`. old, new: canonical JSON by `kind/name`. Raises Malformed
    (`json.*`)."""
    changes: list[Change] = []
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            added = tuple(_lines("", None, parse(new[key])))
            changes.append(Change(kind="added", key=key, lines=added))
        elif key not in new:
            changes.append(Change(kind="removed", key=key, lines=()))
        elif old[key] != new[key]:
            lines = tuple(_lines("", parse(old[key]), parse(new[key])))
            changes.append(Change(kind="changed", key=key, lines=lines))
    return changes


def _lines(path: str, old: JSONValue, new: JSONValue) -> Iterator[str]:
    if encode(old) == encode(new):
        return
    if isinstance(new, dict) and (old is None or isinstance(old, dict)):
        before = old or {}
        for name in sorted(before.keys() | new.keys()):
            yield from _lines(f"{path}.{name}" if path else name, before.get(name), new.get(name))
    elif isinstance(old, str) and isinstance(new, str) and ("\n" in old or "\n" in new):
        yield f"{path}:"
        for line in list(unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]:
            yield f"  {line}"
    else:
        yield f"{path}: {_shown(old)} → {_shown(new)}" if old is not None else f"{path}: {_shown(new)}"


def _shown(value: JSONValue) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else encode(value).decode("utf-8")
    one_line = "".join(c if c.isprintable() else " " for c in text)
    return f"{one_line[:VALUE_CHARS_SHOWN]}…" if len(one_line) > VALUE_CHARS_SHOWN else one_line
