"""Read the policy sets, mandates and hops of a range of decisions where one log first states them.

Law: a decision never uses a statement after it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.records_delegation import KIND
from answerable.core.ledger.tags import Tag
from answerable.verify.ledger_replay import STATED, decision_entry
from answerable.verify.replay_statements import Statements, digest_in, hop_places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate
    from answerable.verify.policy_evaluation import PolicyAsking
    from answerable.verify.replayed import Unfit

SETS_MAX: Final = 8
"""Policy sets that stay loaded for evaluation."""
StatedName: TypeAlias = "tuple[str, ...]"


def stated_name(stored: StoredEntry) -> StatedName:
    """Return the kind and the name of what an entry states, by which decisions name it."""
    leaf = leaf_of(stored)
    if stored.tag == Tag.POLICY_CHANGE:
        return "policy_set", str(leaf.get("after"))
    if stored.tag == Tag.MANDATE_ISSUED:
        return "mandate", str(leaf.get("mandate"))
    kind = str(leaf.get("kind"))
    if kind == KIND:
        return (KIND, *(str(leaf.get(part)) for part in ("hop", "agent", "mandate")))
    return kind, str(leaf.get("name"))


class StatedBefore:
    """The statements that apply to a range of decisions. For one range and one thread."""

    def __init__(
        self, place: Callable[[StatedName], int | None], fetch: Callable[[int], StoredEntry], find: FindKey
    ) -> None:
        """place: returns the first entry that states it; None where that is not known. fetch: reads one entry."""
        self._place, self._fetch, self._find = place, fetch, find
        self._known = Statements()
        self._sets: OrderedDict[str, PolicyAsking | Unfit] = OrderedDict()
        self._taken: set[int] = set()

    def policy_set(self, leaf: Mapping[str, Any], index: int) -> PolicyAsking | Unfit | None:
        """Return the policy set that the decision at an index names; None if it is not disclosed."""
        digest = digest_in(leaf)
        place = self._before(("policy_set", digest), leaf.get("policy_ref"), index)
        if place is None:
            return None
        sets = self._sets
        found = sets.get(digest)
        if found is None:
            self._take(place)
            found = self._known.policy_set(leaf)
            if found is None:
                return None
            sets[digest] = found
            if len(sets) > SETS_MAX:
                sets.popitem(last=False)
        sets.move_to_end(digest)
        return found

    def mandate(self, leaf: Mapping[str, Any], index: int) -> Mandate | None:
        """Return the mandate that the decision names; None if it is not disclosed."""
        self._take(self._before(("mandate", str(leaf.get("mandate"))), leaf.get("mandate_ref"), index))
        return self._known.mandate(leaf)

    def hops(self, leaf: Mapping[str, Any], index: int) -> tuple[Authority, ...] | None:
        """Return the authority of each hop of the action; None if one is not disclosed."""
        hops = leaf.get("hops")
        for hop, place in zip(hops if isinstance(hops, list) else (), hop_places(leaf), strict=True):
            self._take(self._before((KIND, *place), hop, index))
        return self._known.hops(leaf)

    def _before(self, name: StatedName, reference: object, index: int) -> int | None:
        place = self._place(name)
        if place is None and isinstance(reference, dict) and "log" not in reference:
            place = reference.get("entry")
        elif place is None and isinstance(reference, int):
            place = reference
        return place if type(place) is int and 0 <= place < index else None

    def _take(self, place: int | None) -> None:
        if place is None or place in self._taken:
            return
        self._taken.add(place)
        stored = self._fetch(place)
        if stored.tag in STATED:
            entry = decision_entry(stored, self._find)
            self._known.take(entry.tag, entry.leaf, entry.fields or {})
