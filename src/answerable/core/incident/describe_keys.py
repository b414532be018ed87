"""Describe entries about applied documents, and about the keys that people sign with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import listed, named, plain, short
from answerable.core.ledger.records_keys import SIGNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def changed_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe which documents were applied by whom, and whose keys changed."""
    changes = payload.get("changes", payload)
    names = ", ".join(changes) if isinstance(changes, dict) else "documents"
    before, after = short(leaf.get("before")), short(leaf.get("after"))
    why = f", because {plain(leaf['because'])}" if leaf.get("because") else ""
    text = f"{named('by', leaf, payload)} changed {plain(names)}{why}: {before} to {after}."
    return text, signers_told(payload)


def describe_keys(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe whose keys are which, by the documents in force."""
    people = leaf.get("people")
    count = len(people) if isinstance(people, list) else 0
    who = "1 person signs" if count == 1 else f"{count} people sign"
    text = f"It was put down which keys {who} with, by the documents {short(leaf.get('registry'))}."
    return text, signers_told(payload)


def signers_told(payload: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Return one line for each person whose keys the entry's fields state."""
    lines = []
    for name, said in payload.items():
        if name.startswith(SIGNS) and isinstance(said, dict):
            keys = said.get("keys")
            whose = f"{short(said.get('name'))} signs with "
            lines.append(
                whose + (listed([*map(short, keys)]) if isinstance(keys, list) and keys else "no key")
            )
    return tuple(lines)
