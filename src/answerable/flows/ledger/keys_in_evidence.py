"""Find the entries that name the key files of a bundle's signers, and the fields of them to disclose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.records_keys import SIGNS
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.ledger.disclosure import Disclosure
    from answerable.core.ledger.entry import StoredEntry

NAMING: Final = (Tag.REGISTRY_CHANGE, Tag.PEOPLES_KEYS)
SIGNED: Final[Mapping[int, str]] = {
    Tag.MANDATE_ISSUED: "principal",
    Tag.APPROVAL_ANSWER: "person",
    Tag.CANARY_TOLD: "person",
    Tag.GLASS_REVIEWED: "person",
    Tag.DUTY: "of",
    Tag.HOLD_LIFTED: "by",
    Tag.INCIDENT: "by",
    Tag.MANIFEST_REGISTERED: "by",
    Tag.TOOL_PINNED: "by",
    Tag.POLICY_PROPOSED: "author",
    Tag.POLICY_CHANGE: "by",
}
"""Entries that a person may sign with a key file, and the member of the leaf that has the signer's pseudonym."""
SHOWS_NAME: Final = frozenset({"token", "step"})
"""Fields that contain the signer's name: disclosing one discloses that name anyway."""


class KeysInEvidence:
    """Entries that name people's keys, in log order."""

    def __init__(self) -> None:
        self._named: dict[str, list[int]] = {}
        # By entry index: the signer, and how many entries before it name the signer's keys.
        self._before: dict[int, tuple[str, int]] = {}

    def take(self, stored: StoredEntry) -> None:
        """Consider the next entry."""
        if stored.tag in NAMING:
            people = leaf_of(stored).get("people")
            for person in people if isinstance(people, list) else ():
                self._named.setdefault(str(person), []).append(stored.index)
        elif stored.tag in SIGNED:
            person = signer_in(stored)
            if person in self._named:
                self._before[stored.index] = person, len(self._named[person])

    def of(self, indexes: Iterable[int]) -> set[int]:
        """Return the entries that named the keys of these entries' signers before they signed."""
        found: set[int] = set()
        for index in indexes:
            person, count = self._before.get(index, ("", 0))
            found.update(self._named[person][:count] if count else ())
        return found


def signer_in(stored: StoredEntry) -> str:
    """Return the pseudonym of the person who signed the entry, as far as the leaf says; empty for none, or for a
    workflow."""
    leaf = leaf_of(stored)
    return "" if leaf.get("workflow") else str(leaf.get(SIGNED.get(stored.tag, ""), ""))


def shows_keys_of(people: Iterable[str], fields: Iterable[Disclosure]) -> Iterable[Disclosure]:
    """Yield the fields about these people's keys. people: pseudonyms."""
    wanted = [b'"person":"%b"' % one.encode() for one in people if one]
    for one in fields:
        if one.name.startswith(SIGNS) and any(person in bytes(one.value) for person in wanted):
            yield one
