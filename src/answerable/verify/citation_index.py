"""Index where one log states the policy sets, mandates and hops of its decisions, to find them without a further scan.

Laws: only entry indexes and policy sets, which contain no personal data, stay cached; statements about people are read
again for each range, so that erased data is not reported any more; a decision never uses a statement after it.
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

PLACES_MAX: Final = 1_000_000
"""About 150 MB. Beyond this limit the oldest are dropped; they are then found only by a decision's own reference."""
SETS_MAX: Final = 8
"""Policy sets that stay loaded for evaluation."""
StatedName: TypeAlias = "tuple[str, ...]"


def stated_name(tag: int, leaf: Mapping[str, Any]) -> StatedName:
    """Return the kind and the name of what an entry states."""
    if tag == Tag.POLICY_CHANGE:
        return "policy_set", str(leaf.get("after"))
    if tag == Tag.MANDATE_ISSUED:
        return "mandate", str(leaf.get("mandate"))
    kind = str(leaf.get("kind"))
    if kind == KIND:
        return (KIND, *(str(leaf.get(part)) for part in ("hop", "agent", "mandate")))
    return kind, str(leaf.get("name"))


class StatedPlaces:
    """The statements of one log up to, but not including, entry `read_to`."""

    def __init__(self) -> None:
        self.read_to = 0
        self.sets: OrderedDict[str, PolicyAsking | Unfit] = OrderedDict()
        self._places: dict[StatedName, int] = {}

    def note(self, stored: StoredEntry) -> None:
        """Take the next entry. Any other entry is ignored."""
        if stored.index != self.read_to:
            return
        self.read_to += 1
        if stored.tag in STATED:
            self._places.setdefault(stated_name(stored.tag, leaf_of(stored)), stored.index)
            if len(self._places) > PLACES_MAX:
                del self._places[next(iter(self._places))]

    def place(self, name: StatedName) -> int | None:
        """Return the first entry that states it; None if it is not known."""
        return self._places.get(name)


class StatedBefore:
    """The statements that apply to a range of decisions. For one range and one thread."""

    def __init__(self, places: StatedPlaces, fetch: Callable[[int], StoredEntry], find: FindKey) -> None:
        """fetch: reads one entry of the log."""
        self._places, self._fetch, self._find = places, fetch, find
        self._known = Statements()
        self._taken: set[int] = set()

    def policy_set(self, leaf: Mapping[str, Any], index: int) -> PolicyAsking | Unfit | None:
        """Return the policy set that the decision at an index names; None if it is not disclosed."""
        digest = digest_in(leaf)
        place = self._before(("policy_set", digest), leaf.get("policy_ref"), index)
        if place is None:
            return None
        sets = self._places.sets
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
        place = self._places.place(name)
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
