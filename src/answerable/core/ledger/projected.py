"""A register as what the ledger says: what each entry makes of one row, as a pure function.

Laws of every projection:
- an entry that is applied again changes nothing;
- what has ended is not opened by an entry that is applied again;
- what grants counts only with the signature by which it was given, under the keys of then; what ends needs none;
- what cannot be made again as it was, because it cannot be opened, is closed and never guessed.
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
    """Up to where a register is true of one log. entries: that were applied. leaf: hash of the last of them, hex.
    last: index of the last one that it took anything from; -1 for none."""

    entries: int = 0
    leaf: str = ""
    last: int = -1


START: Final = Position()


@dataclass(frozen=True, slots=True)
class World:
    """Under which keys something was signed: documents, and who owned which passkey (person by thumbprint), right
    before an entry."""

    documents: Mapping[str, bytes]
    passkeys: Mapping[str, str]
    _made: list[RegistrySnapshot] = field(default_factory=list, compare=False, repr=False)

    @property
    def registry(self) -> RegistrySnapshot:
        """What the documents say, made when it is first asked for. Raises Malformed (`registry.*`, `json.*`)."""
        if not self._made:
            self._made.append(snapshot_of(documents_in(self.documents)))
        return self._made[0]

    def after(self, tag: int, leaf: Members, fields: Members | None) -> World:
        """The world after an entry; the same one where it says nothing of either."""
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
    """An entry as a projection reads it. fields: as `payload_of` gives them; None where nobody can open them. world: as
    it was right before it."""

    log: str
    index: int
    leaf_hash: str
    tag: int
    leaf: Members
    fields: Members | None
    world: World

    @property
    def at(self) -> int:
        """When it was written, Unix milliseconds."""
        return self.whole("at")

    def text(self, name: str) -> str:
        """A field that is text; empty where it is not there or cannot be opened."""
        value = (self.fields or {}).get(name)
        return value if isinstance(value, str) and _is_unicode(value) else ""

    def whole(self, name: str) -> int:
        """A member of the leaf that is a whole number; 0 where it is not there."""
        value = self.leaf.get(name)
        return value if isinstance(value, int) else 0

    def sealed(self, name: str) -> JSONValue:
        """A field without which the entry gives nothing. Raises Unverified (`ledger.key_gone`) where nobody can open
        it."""
        value = (self.fields or {}).get(name)
        if value is None:
            raise LEDGER_KEY_GONE(
                f"entry {self.index} cannot be opened: the key of whose data it is, is gone"
            )
        return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # What is sealed is read by the lenient reader, which lets lone surrogates in.
        return False
    return True


def octets_in(value: JSONValue, count: int) -> bytes | None:
    """So many octets in hex; None for anything else."""
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return None
    return found if len(found) == count else None


KEY_GONE: Final = LEDGER_KEY_GONE.id
WORLD_TAGS: Final = frozenset({Tag.REGISTRY_CHANGE, Tag.PASSKEY})
"""Entries that say under which keys what comes after them is signed."""


def changed_documents(documents: Mapping[str, bytes], fields: Members | None) -> dict[str, bytes]:
    """The documents after a change. What cannot be opened, or read, stays as it was: their digest tells."""
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
    """As entries name documents, before and after a change. Raises Malformed (`json.*`)."""
    return digest_of([parse(text) for text in documents.values()])
