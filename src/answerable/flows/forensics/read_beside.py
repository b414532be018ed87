"""Read what earlier entries say of an action: whose task its mandate is, what was declared of its capability, and which
approval was denied.

Laws: what is said of an entry is the same whenever it is read, because only entries before it count; no name of a
person is kept from one entry to the next, and of sealed fields only what the registry declared.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.declared import UNDECLARED, Declared, declared_in
from answerable.core.search.facts import ACTIONS, ALONE, Beside, gives, is_denied_by, kind_of
from answerable.core.search.query import Query, Term
from answerable.errors.codes.approval import APPROVAL_DENIED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.ports.search_index import SearchIndex
    from answerable.ports.stored_log import LogSnapshot

PRINCIPALS_MAX: Final = 10_000
"""Pseudonyms of principals in memory, by mandate; when there are more, all are read again as they are needed."""

_CHANGES: Final = Query(terms=(Term("kind", (kind_of(Tag.REGISTRY_CHANGE),)),))


class BesideReader:
    """Reads one log by its index. One question or one catching up at a time."""

    def __init__(self, index: SearchIndex, log: LogSnapshot, find: FindKey) -> None:
        self.index, self.log, self.find = index, log, find
        self._changes: set[int] = set()
        self._by_name: dict[str, list[tuple[int, Declared]]] = {}
        self._is_learned = False
        self._givers: dict[str, int] = {}
        self._asked: dict[str, list[int]] = {}
        self._principals: dict[int, str] = {}

    def refresh(self) -> None:
        """Look again, before the next answer, for registry changes that the index has since."""
        self._is_learned = False

    def note(self, stored: StoredEntry, leaf: dict[str, JSONValue]) -> None:
        """Take note of an entry that the index does not have yet; in ledger order."""
        if stored.tag == Tag.REGISTRY_CHANGE:
            self._learn_change(stored, leaf)
        elif stored.tag == Tag.APPROVAL_ASKED:
            self._asked.setdefault(str(leaf.get("digest")), []).append(stored.index)
        elif mandate := gives(stored.tag, leaf):
            self._givers.setdefault(mandate, stored.index)

    def applied(self) -> None:
        """The index has what was noted."""
        self._givers.clear()
        self._asked.clear()

    def beside(self, stored: StoredEntry, leaf: Mapping[str, JSONValue], *, named: bool = False) -> Beside:
        """Return what earlier entries say of this one. named: whether the name of the principal is wanted, too.

        Raises as the index and the log do.
        """
        if stored.tag not in ACTIONS:
            return ALONE
        declared = self._declared(leaf.get("capability"), stored.index)
        if stored.tag != Tag.REFUSAL:
            return Beside(declared=declared)
        return Beside(self._principal(stored, leaf, named=named), declared, self._denied(stored, leaf))

    def _denied(self, stored: StoredEntry, leaf: Mapping[str, JSONValue]) -> str:
        """Return the approval that was denied: of the last question to people about the same action."""
        digest = leaf.get("digest")
        if leaf.get("code") != APPROVAL_DENIED.id or not isinstance(digest, str):
            return ""
        asked = Query(terms=(Term("digest", (digest,)), Term("kind", (kind_of(Tag.APPROVAL_ASKED),))))
        known = (one.entry for one in self.index.candidates(asked, None))
        for entry in sorted({*self._asked.get(digest, ()), *known}, reverse=True):
            question = leaf_of(self.log.entry(entry))
            if entry < stored.index and is_denied_by(leaf, question):
                return str(question.get("approval"))
        return ""

    def _principal(
        self, stored: StoredEntry, leaf: Mapping[str, JSONValue], *, named: bool
    ) -> tuple[str, str]:
        mandate = leaf.get("mandate")
        if not isinstance(mandate, str) or not mandate:
            return "", ""
        entry = self.index.giver(mandate)
        if entry is None:
            entry = self._givers.get(mandate)
        if entry is None or entry >= stored.index:
            return "", ""
        if not named and entry in self._principals:
            return self._principals[entry], ""
        given = self.log.entry(entry)
        said = leaf_of(given)
        if len(self._principals) >= PRINCIPALS_MAX:
            self._principals.clear()
        self._principals[entry] = pseudonym = str(said.get("principal"))
        name = (payload_of(given, said, self.find) or {}).get("principal") if named else ""
        return pseudonym, name if isinstance(name, str) else ""

    def _declared(self, capability: JSONValue, entry: int) -> Declared:
        """Return what the last registry change before an entry declared."""
        if not isinstance(capability, str) or not capability:
            return UNDECLARED
        if not self._is_learned:
            self._learn()
        found = self._by_name.get(capability, [])
        at = bisect_left(found, entry, key=lambda one: one[0])
        return found[at - 1][1] if at else UNDECLARED

    def _learn(self) -> None:
        for candidate in self.index.candidates(_CHANGES, None):
            if candidate.entry not in self._changes:
                stored = self.log.entry(candidate.entry)
                self._learn_change(stored, leaf_of(stored))
        self._is_learned = True

    def _learn_change(self, stored: StoredEntry, leaf: dict[str, JSONValue]) -> None:
        if stored.index in self._changes:
            return
        self._changes.add(stored.index)
        for name, declared in declared_in(payload_of(stored, leaf, self.find)).items():
            known = self._by_name.setdefault(name, [])
            known.insert(bisect_left(known, stored.index, key=lambda one: one[0]), (stored.index, declared))
