"""Build the entries that record the signing keys of people: who has which keys from that entry on, each person in a
separate field.

Laws: when a person's keys change, an entry lists all keys that are theirs from then on, and an empty list once they
have none; a leaf names people only by pseudonym, and what is stated of one person can be disclosed without that of
another; the entries hold no keys, only thumbprints of public keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.leaves import Reference
    from answerable.core.registry.documents.documents import Principal

PEOPLE_IN_CHANGE_MAX: Final = 24
"""People whose keys the entry of a change states itself, beside its other content; entries right after it state the
rest."""
PEOPLE_NAMED_MAX: Final = 48
"""People in one entry that states only keys."""
SIGNS: Final = "signs_"
"""Prefix of the name of a field about one person; two letters follow."""

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


class Signs(NamedTuple):
    """The person an entry is about: name, pseudonym, and the thumbprints of all their keys, sorted."""

    name: str
    person: str
    keys: tuple[str, ...]


class NamedKeys(NamedTuple):
    """The latest statement of the ledger about a person's keys, and its entry."""

    signs: Signs
    place: Reference


class KeyFile(NamedTuple):
    """The key with which a person signed: the public JWK, and the entry that states that it is theirs."""

    signer: str
    place: Reference


def thumbprints_of(person: Principal | None) -> tuple[str, ...]:
    """Return the thumbprints of a person's signing keys, sorted; empty for None."""
    return tuple(sorted(key.thumbprint for key in person.keys)) if person is not None else ()


def changed_signers(
    before: Mapping[PrincipalId, Principal], after: Mapping[PrincipalId, Principal]
) -> Iterator[PrincipalId]:
    """Yield the people whose signing keys changed, by name, those who lose a key first: no entry may assign a key to a
    person before the entry that removes it from another."""
    changed = [
        name
        for name in sorted(before.keys() | after.keys())
        if thumbprints_of(before.get(name)) != thumbprints_of(after.get(name))
    ]
    losing = {name for name in changed if _loses(before.get(name), after.get(name))}
    yield from (name for name in changed if name in losing)
    yield from (name for name in changed if name not in losing)


def _loses(before: Principal | None, after: Principal | None) -> bool:
    return not set(thumbprints_of(before)) <= set(thumbprints_of(after))


def named_members(people: Sequence[Signs], *, more: int = 0) -> dict[str, JSONValue]:
    """Build the leaf members that list these people; empty for none. more: number of people stated in entries right
    after it."""
    members: dict[str, JSONValue] = {"people": [one.person for one in people]} if people else {}
    return {**members, "people_more": more} if more else members


def named_fields(people: Sequence[Signs]) -> list[Field]:
    """Build the sealed fields about these people, one each."""
    return [
        (
            f"{SIGNS}{_LETTERS[place // len(_LETTERS)]}{_LETTERS[place % len(_LETTERS)]}".encode(),
            encode({"keys": [*one.keys], "name": one.name, "person": one.person}),
        )
        for place, one in enumerate(people)
    ]


def people_keys(
    *,
    at: UnixMillis,
    sealing: Sealing,
    registry: str,
    people: Sequence[Signs],
    change: Reference | None = None,
) -> Entry:
    """Build the entry that states the keys of people under the registry with this digest. change: the entry that this
    one continues; None where it repeats keys that were valid already, before a person's signature is recorded."""
    members: dict[str, JSONValue] = {"registry": registry, **named_members(people)}
    if change is not None:
        members["change_ref"] = {"entry": change.entry, "leaf": change.leaf}
    fields = named_fields(people)
    return sealed_entry(Tag.PEOPLES_KEYS, at=at, members=members, fields=fields, sealing=sealing)


def keys_members(reference: Reference | None) -> dict[str, JSONValue]:
    """Build the leaf member for something signed with a key file: a reference to the entry that states
    whose key it is."""
    return {"keys_ref": {"entry": reference.entry, "leaf": reference.leaf}} if reference is not None else {}


def key_file_members(key_file: KeyFile | None) -> dict[str, JSONValue]:
    """Return the members of `keys_members` for a key file; empty for None."""
    return keys_members(key_file.place if key_file is not None else None)


def key_file_fields(key_file: KeyFile | None) -> list[Field]:
    """Build the field of the public key, which is needed to verify the signature."""
    return [(b"signer", encode(key_file.signer))] if key_file is not None else []
