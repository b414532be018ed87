"""What entries say of the keys that people sign with: who had which from there on, each in a field of its own.

Laws: of a person whose keys change an entry has all those that are theirs from then on, and none once they have none; a
leaf names people by pseudonym alone, and what is said of one person can be shown without that of another; no key is in
it, only thumbprints of public ones.
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
"""That the entry of a change names itself, beside what else it says; more are named in entries right after it."""
PEOPLE_NAMED_MAX: Final = 48
"""That one entry names of which this is all."""
SIGNS: Final = "signs_"
"""Before the two letters of a field about one person."""

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


class Signs(NamedTuple):
    """Whom an entry is about: name, pseudonym, and the thumbprints of all their keys, sorted."""

    name: str
    person: str
    keys: tuple[str, ...]


class NamedKeys(NamedTuple):
    """What the ledger says last of a person's keys, and where."""

    signs: Signs
    place: Reference


class KeyFile(NamedTuple):
    """What a person signed with: the public JWK, and where the ledger says that it is theirs."""

    signer: str
    place: Reference


def thumbprints_of(person: Principal | None) -> tuple[str, ...]:
    """Of the keys that somebody signs with, sorted; none for nobody."""
    return tuple(sorted(key.thumbprint for key in person.keys)) if person is not None else ()


def changed_signers(
    before: Mapping[PrincipalId, Principal], after: Mapping[PrincipalId, Principal]
) -> Iterator[PrincipalId]:
    """Who signs with other keys than before, in the order of their names: those who lose one first, so that nobody is
    given a key in an entry before the one that takes it from another."""
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
    """What a leaf says of them; nothing where there are none. more: that are named in entries right after it."""
    members: dict[str, JSONValue] = {"people": [one.person for one in people]} if people else {}
    return {**members, "people_more": more} if more else members


def named_fields(people: Sequence[Signs]) -> list[Field]:
    """What is sealed of them, one field each."""
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
    """People sign with these keys by the registry of this digest. change: what this goes on with; None where it says
    again what was so already, before somebody's signature."""
    members: dict[str, JSONValue] = {"registry": registry, **named_members(people)}
    if change is not None:
        members["change_ref"] = {"entry": change.entry, "leaf": change.leaf}
    fields = named_fields(people)
    return sealed_entry(Tag.PEOPLES_KEYS, at=at, members=members, fields=fields, sealing=sealing)


def keys_members(reference: Reference | None) -> dict[str, JSONValue]:
    """What the leaf of something that a person signed with a key file says: where that key is named as theirs."""
    return {"keys_ref": {"entry": reference.entry, "leaf": reference.leaf}} if reference is not None else {}


def key_file_members(key_file: KeyFile | None) -> dict[str, JSONValue]:
    """As `keys_members`."""
    return keys_members(key_file.place if key_file is not None else None)


def key_file_fields(key_file: KeyFile | None) -> list[Field]:
    """The public key, without which nobody can check what was signed."""
    return [(b"signer", encode(key_file.signer))] if key_file is not None else []
