"""Registers as projections of the ledger: pure functions that apply an entry to one row of a register.

Laws of every projection:
- applying an entry again changes nothing;
- applying an entry again never reopens what has ended;
- an entry that grants something counts only with its signature, under the keys valid at that time; an entry that ends
 something needs none;
- a row that cannot be rebuilt, because its fields cannot be decrypted, is closed and never guessed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.canonical import encode, parse
from answerable.core.identity.people.passkey_form import passkey_in
from answerable.core.ledger.tags import Tag
from answerable.core.registry.parsing.active import digest_of, documents_in, snapshot_of
from answerable.errors import AnswerableError, Malformed
from answerable.errors.codes.ledger import LEDGER_KEY_GONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

    Members = dict[str, JSONValue]


class Position(NamedTuple):
    """How far a register has applied one log. entries: number applied. leaf: hash of the last of them, hex. last: index
    of the last entry that changed the register; -1 for none."""

    entries: int = 0
    leaf: str = ""
    last: int = -1


START: Final = Position()


@dataclass(frozen=True, slots=True)
class World:
    """The keys in force right before an entry: registry documents, and the owner of each passkey (person by
    thumbprint)."""

    documents: Mapping[str, bytes]
    passkeys: Mapping[str, str]
    _made: list[RegistrySnapshot] = field(default_factory=list, compare=False, repr=False)

    @property
    def registry(self) -> RegistrySnapshot:
        """The registry snapshot of the documents, built on first use. Raises Malformed (`registry.*`, `json.*`)."""
        if not self._made:
            self._made.append(snapshot_of(documents_in(self.documents)))
        return self._made[0]

    def after(self, tag: int, leaf: Members, fields: Members | None) -> World:
        """Return the world after an entry; the same object where the entry changes neither documents nor passkeys."""
        if tag == Tag.REGISTRY_CHANGE:
            return World(changed_documents(self.documents, fields), self.passkeys)
        if tag == Tag.PASSKEY and leaf.get("change") == "added":
            try:
                added = passkey_in((fields or {}).get("credential"))
            except AnswerableError:
                return self
            return World(self.documents, {**self.passkeys, added.key: added.person}, self._made)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An entry as a projection reads it. fields: as `payload_of` returns them; None where they cannot be decrypted.
    world: as it was right before the entry."""

    log: str
    index: int
    leaf_hash: str
    tag: int
    leaf: Members
    fields: Members | None
    world: World

    @property
    def at(self) -> int:
        """When the entry was written, Unix milliseconds."""
        return self.whole("at")

    def text(self, name: str) -> str:
        """Return a text field; empty where it is missing or cannot be decrypted."""
        value = (self.fields or {}).get(name)
        return value if isinstance(value, str) and _is_unicode(value) else ""

    def whole(self, name: str) -> int:
        """Return a whole-number member of the leaf; 0 where it is missing."""
        value = self.leaf.get(name)
        return value if isinstance(value, int) else 0

    def sealed(self, name: str) -> JSONValue:
        """Return a field that the entry requires. Raises Unverified (`ledger.key_gone`) where it
        cannot be decrypted."""
        value = (self.fields or {}).get(name)
        if value is None:
            raise LEDGER_KEY_GONE(
                f"entry {self.index} cannot be decrypted: the key of its data subject was erased"
            )
        return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # What is sealed is read by the lenient reader, which lets lone surrogates in.
        return False
    return True


def octets_in(value: JSONValue, count: int) -> bytes | None:
    """Decode `count` octets from hex; None for anything else."""
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return None
    return found if len(found) == count else None


KEY_GONE: Final = LEDGER_KEY_GONE.id
WORLD_TAGS: Final = frozenset({Tag.REGISTRY_CHANGE, Tag.PASSKEY})
"""Entries that change the keys under which later entries are signed."""


def changed_documents(documents: Mapping[str, bytes], fields: Members | None) -> dict[str, bytes]:
    """Return the documents after a change. Documents that cannot be decrypted or read stay as they were; a comparison
    of digests detects this."""
    after = dict(documents)
    changes = (fields or {}).get("changes")
    for key, document in changes.items() if isinstance(changes, dict) else ():
        if document is None:
            after.pop(key, None)
            continue
        with suppress(Malformed):
            after[key] = encode(document)
    return after


def documents_digest_of(documents: Mapping[str, bytes]) -> str:
    """Return the documents' digest, as entries state it before and after a change. Raises Malformed (`json.*`)."""
    return digest_of([parse(text) for text in documents.values()])
