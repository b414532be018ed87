"""Attribute the key files with which people signed, by the entries that name each person's keys.

Laws:
- a signature by key file counts as a person's only if an earlier disclosed entry names this key as that person's, by
  name and pseudonym, and no entry in between removes the key;
- a signature with another key, in another person's name, with a key removed before, or without a reference to the
  entry that names the key although the log names keys by then, is a fault: the signature or the log is forged;
- at any time one key belongs to one person, and one name stands for one person;
- an entry that only repeats a person's keys is no change: if it differs from the change before it, nothing can be
  said;
- an undisclosed entry attributes no key, and is counted.

A signature in flight while its key was removed may be recorded right after the removal; nobody can tell the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from answerable.core.ledger.records_keys import SIGNS
from answerable.verify.leaf_rules import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from msgspec import UnsetType

    from answerable.verify.leaf_types import Reference

ON_ITS_WAY_MS_MAX: Final = 10_000
"""Longest time, in milliseconds, by which the recorded arrival of a signature may follow a change that it was checked
before."""


class _Signs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Disclosed field about one person. keys: thumbprints of all their keys."""

    keys: list[str]
    name: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """An entry about one person's keys. signs: None if the field is not disclosed. again: whether the entry only
    repeats known keys."""

    index: int
    at: int
    registry: str
    again: bool
    signs: _Signs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    index: int
    at: int
    person: str
    name: str
    key: str
    reference: Reference | UnsetType


class ShownKeys:
    """Collects entries that name keys, and signatures. shown: signatures that disclosed entries attribute to their
    person's key. unread: signatures that cannot be attributed."""

    def __init__(self) -> None:
        self.shown = self.unread = 0
        self._first = -1
        self._entries: set[int] = set()
        self._named: dict[str, list[_Named]] = {}
        self._names: dict[str, str] = {}
        self._changes: dict[int, tuple[int, set[str]]] = {}
        self._holders: dict[str, set[str]] = {}
        self._signed: list[_Signed] = []
        self._found: list[tuple[int, Fault]] = []

    def take(
        self,
        index: int,
        at: int,
        people: Sequence[str],
        fields: Mapping[str, bytes],
        *,
        registry: str,
        change: int | None,
        more: int = 0,
    ) -> None:
        """Take the next entry that names keys.

        people: pseudonyms. registry: digest of the registry documents from this entry on. change: entry of the change
        that this entry is part of, itself or an earlier one; None if the entry only repeats known keys. more: number of
        people whom later entries of the same change name. Raises msgspec.DecodeError if a field is not about a person.
        """
        self._entries.add(index)
        if self._first < 0 and people:
            self._first = index
        again = not self._is_change(index, people, change, more)
        told: dict[str, _Signs] = {}
        for name, value in fields.items():
            if not name.startswith(SIGNS):
                continue
            one = msgspec.json.decode(value, type=_Signs)
            if one.person not in people or one.person in told:
                self._wrong(index, "keys.entry", "the entry lists keys of a person whom it does not name")
                continue
            if self._names.setdefault(one.person, one.name) != one.name:
                self._wrong(index, "keys.name", "a person of this entry had another name before")
            if any(set(one.keys) & set(other.keys) for other in told.values()):
                self._wrong(index, "keys.two_people", "the entry gives one key to two people")
            told[one.person] = one
        for person in people:
            signs = told.get(person)
            entry = _Named(index=index, at=at, registry=registry, again=again, signs=signs)
            self._named.setdefault(person, []).append(entry)
            for key in signs.keys if signs is not None else ():
                self._holders.setdefault(key, set()).add(person)

    def _is_change(self, index: int, people: Sequence[str], change: int | None, more: int) -> bool:
        """Whether an entry is part of a disclosed change. A continuation may only name people whom the change left to
        it."""
        if change == index:
            self._changes[index] = (more, set(people))
            return True
        if change is None or change not in self._changes:
            return False
        left, named = self._changes[change]
        if left < len(people) or not named.isdisjoint(people):
            message = "the entry names people who are not part of its registry change"
            self._wrong(index, "keys.entry", message)
            return False
        self._changes[change] = (left - len(people), named | set(people))
        return True

    def signed(
        self, index: int, at: int, *, person: str, name: str, key: str, reference: Reference | UnsetType
    ) -> None:
        """Take a verified signature by key file. person: pseudonym in the entry. name: the issuer of the signature.
        key: thumbprint. reference: the entry that names the key, as the signature's own entry states."""
        self._signed.append(
            _Signed(index=index, at=at, person=person, name=name, key=key, reference=reference)
        )

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault, with the index of its entry. Call once, after the last entry."""
        yield from self._found
        for one in self._signed:
            found = self._judged(one)
            if isinstance(found, Fault):
                yield one.index, found
            elif found:
                self.shown += 1
            else:
                self.unread += 1

    def _judged(self, one: _Signed) -> Fault | bool:
        """Return the fault in a signature, or whether disclosed entries prove that it has none."""
        if one.reference is UNSET:
            if 0 <= self._first < one.index:
                return Fault("keys.unnamed", "the entry does not say which entry names its signing key")
            return False
        if one.reference.log is not UNSET:
            return False
        if one.reference.entry >= one.index:
            return Fault("keys.order", "the entry that names the key is not an earlier one")
        before = [named for named in self._named.get(one.person, ()) if named.index < one.index]
        since = [named for named in before if named.index >= one.reference.entry]
        if not since or since[0].index != one.reference.entry:
            if one.reference.entry in self._entries:
                return Fault("keys.other", "the entry that should name the key does not name its person")
            return False
        for named in since:
            found = _held(one, named, first=named is since[0])
            if found is not True:
                return found
        return self._is_only_theirs(one, before)

    def _is_only_theirs(self, one: _Signed, before: Sequence[_Named]) -> Fault | bool:
        latest = before[-1]
        if latest.again and not _says_as_before(before):
            return False
        for person in self._holders.get(one.key, set()) - {one.person}:
            entries = reversed(self._named[person])
            last = next((named for named in entries if named.index < one.index), None)
            if last is None or last.signs is None or one.key not in last.signs.keys:
                continue
            if last.signs.name == one.name:
                # The same person: after an erasure, a person who signs again has another pseudonym and the same key.
                continue
            if last.registry == latest.registry:
                return Fault(
                    "keys.two_people", "the signing key belongs to another person in the same documents"
                )
            return False
        return True

    def _wrong(self, index: int, rule: str, message: str) -> None:
        self._found.append((index, Fault(rule, message)))


def _held(one: _Signed, named: _Named, *, first: bool) -> Fault | bool:
    """Check a signature against one entry about its person. first: whether the signature refers to this entry."""
    signs = named.signs
    if signs is None:
        return False
    if signs.name != one.name:
        return Fault("keys.person", "the entry is signed in another person's name than that of the key")
    if one.key in signs.keys:
        return True
    if first:
        return Fault("keys.other", "the entry is signed with a key that was not its person's")
    if one.at - named.at <= ON_ITS_WAY_MS_MAX:
        return False
    return Fault("keys.removed", "the entry is signed with a key that its person no longer had")


def _says_as_before(before: Sequence[_Named]) -> bool:
    """Whether the latest entry, which only repeats, matches the change before it, if that change is disclosed."""
    change = next((named for named in reversed(before) if not named.again), None)
    return change is None or (change.signs is not None and change.signs == before[-1].signs)
