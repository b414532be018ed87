"""Count from a log what actions used of their leases' grants, one stretch of entries per question.

An outcome records the used rights and the digest of the scope. To check whether that scope came from the template now
in force, this module fills the template from the recorded action. Use under another template is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.api.lease_use_answers import LeaseTally, RightUse
from answerable.core.lease.scope import filled, scope_values
from answerable.core.lease.use import UseTally, used_in
from answerable.core.ledger.happened import whole
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.lease_template import holes_in
from answerable.core.registry.documents.pointing import named_arguments
from answerable.errors import Refused
from answerable.flows.counters.count_history import fields_of
from answerable.flows.forensics.timed_reading import read_within
from answerable.flows.recording.paced_reading import begins_at
from answerable.ports.lease_use import LeaseUseTold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.lease_use import LeasedTold, LeaseUseQuestion

RESOURCE: Final = "resource"
STRETCH_SECONDS_MAX: Final = 0.5
"""After this time no further entries are read for one answer, so that other questions get their turn."""
_ENDED: Final = frozenset({Tag.OUTCOME, Tag.INDETERMINATE})


def tell_lease_use(
    teller: StoryTeller, question: LeaseUseQuestion, *, monotonic: Callable[[], float]
) -> LeaseUseTold:
    """Count the use in as many entries as one answer covers. monotonic: returns seconds. Raises Unavailable, and Broken
    as the log does."""
    log, counting = teller.log, _Counting(teller.find, question.capabilities)
    start = begins_at(log, question.since) if question.start is None else question.start
    end = start
    for stored in read_within(log, start, log.size, seconds=STRETCH_SECONDS_MAX, monotonic=monotonic):
        if stored.tag in _ENDED:
            counting.add(stored, log.entry(whole(leaf_of(stored), "intent")), question.since)
        end = stored.index + 1
    tallies = {name: _tally(one) for name, one in counting.tallies.items()}
    return LeaseUseTold(start=start, end=end, size=log.size, tallies=tallies)


@dataclass(frozen=True, slots=True)
class _Keys:
    find: FindKey


class _Counting:
    def __init__(self, find: FindKey, known: Iterable[LeasedTold]) -> None:
        self._keys, self._known = _Keys(find), {one.name: one for one in known}
        # Scopes of templates without placeholders never change, so they are computed once.
        self._whole = {name: one.template for name, one in self._known.items() if not holes_in(one.grants)}
        self.tallies: dict[str, UseTally] = {}

    def add(self, stored: StoredEntry, begun: StoredEntry, since: int) -> None:
        """Count the end of an action. begun: its intent."""
        leaf, intent = leaf_of(stored), leaf_of(begun)
        at = whole(leaf, "at")
        if at < since:
            return
        one = self._known.get(str(intent.get("capability")))
        if one is None or not intent.get("lease"):
            return
        tally = self.tallies.setdefault(one.name, UseTally())
        if leaf.get("status") == "succeeded":
            self._add_succeeded(tally, one, stored, begun, at)
        elif leaf.get("status") == "failed":
            tally.failed += 1
        elif stored.tag == Tag.INDETERMINATE:
            tally.unended += 1

    def _add_succeeded(
        self, tally: UseTally, one: LeasedTold, stored: StoredEntry, begun: StoredEntry, at: int
    ) -> None:
        fields = fields_of(self._keys, stored, leaf_of(stored))
        if fields is None:
            tally.add_untold("unreadable", at)
            return
        told = used_in(fields.get("used"))
        if told is None:
            tally.add_untold("not_told", at)
            return
        scope, used = told
        expected = self._whole.get(one.name) or self._filled(one, begun)
        if expected is None:
            tally.add_untold("unreadable", at)
        elif expected != scope:
            tally.elsewise += 1
        else:
            tally.add(used, at)

    def _filled(self, one: LeasedTold, begun: StoredEntry) -> str | None:
        """Return the digest of the scope that the template now in force gives for this action; None where the action
        cannot be read."""
        leaf = leaf_of(begun)
        fields = fields_of(self._keys, begun, leaf)
        action = fields.get("action") if fields is not None else None
        arguments = action.get("arguments") if isinstance(action, dict) else None
        if fields is None or not isinstance(arguments, dict):
            return None
        resource = _resource(fields)
        if not resource and RESOURCE in holes_in(one.grants):
            return None
        values = scope_values(
            one.arguments,
            named_arguments(one.arguments, arguments),
            resource=resource,
            mandate=str(leaf.get("mandate")),
            agent=str(leaf.get("agent")),
        )
        try:
            return filled(one.grants, values).hex
        except Refused:
            # The action lacks a value that this template needs, so it ran under another one.
            return ""


def _resource(fields: Mapping[str, JSONValue]) -> str:
    question = fields.get("question")
    resource = question.get("resource") if isinstance(question, dict) else None
    return str(resource.get("id") or "") if isinstance(resource, dict) else ""


def _tally(one: UseTally) -> LeaseTally:
    return LeaseTally(
        told=one.told,
        untold={str(why): count for why, count in one.untold.items()},
        elsewise=one.elsewise,
        failed=one.failed,
        unended=one.unended,
        first_at=one.first_at,
        last_at=one.last_at,
        rights={
            place: RightUse(sure=use.sure, unsure=use.unsure, last_at=use.last_at)
            for place, use in one.rights.items()
        },
    )
