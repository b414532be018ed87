"""Compare granted and used rights: count from the ledger, in short turns, what actions used of their leases' grants.

An outcome records the used rights and the digest of the scope. To check whether that scope came from the template now
in force, this module fills the template from the recorded action. Use under another template is not counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio
from anyio import to_thread

from answerable.core.lease.scope import filled, scope_values
from answerable.core.lease.use import UseTally, used_in
from answerable.core.ledger.happened import whole
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.lease_template import holes_in
from answerable.core.registry.documents.pointing import named_arguments
from answerable.errors import AnswerableError, Refused, shown
from answerable.errors.codes.leases import LEASE_LOG_UNKNOWN
from answerable.errors.codes.registry import CAPABILITY_LEASE, CAPABILITY_UNKNOWN, CAPABILITY_UNLEASED
from answerable.flows.counters.count_history import fields_of
from answerable.flows.policy.simulate_policy import PAGE_SECONDS_MAX
from answerable.flows.recording.paced_reading import REST_SECONDS, begins_at, in_turns
from answerable.flows.recovery.restore_from_peers import TRIES_MAX, TRY_SECONDS
from answerable.flows.revocation.look_at_leases import broker_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.use import Right
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.lease_template import LeaseTemplate
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.flows.state.parts import Recorder
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.stored_log import StoredLog
    from answerable.ports.subject_keys import SubjectKeys

RESOURCE: Final = "resource"
ENTRIES_AT_A_TIME: Final = 200
_ENDED: Final = frozenset({Tag.OUTCOME, Tag.INDETERMINATE})


class Leased(NamedTuple):
    """A capability in force whose actions a broker performs. target: the broker's target."""

    capability: Capability
    lease: LeaseTemplate
    target: str

    @property
    def template(self) -> str:
        """Return the digest of the grants as written, with their placeholders."""
        return self.lease.grants.hex


@dataclass(frozen=True, slots=True, kw_only=True)
class UsePage:
    """Use counted in one page of the ledger. start, end: first index read, and first index not read. size: of the
    ledger now. more: continue from `end`. tallies: of this page alone, by capability; a capability without use has
    none. templates: digests of the templates counted under. others: names of other processes' logs, each to be queried
    as well."""

    start: int
    end: int
    size: int
    more: bool
    tallies: Mapping[str, UseTally]
    templates: Mapping[str, str]
    others: tuple[str, ...] = ()


def leased_capabilities(registry: RegistryStore) -> dict[str, Leased]:
    """Return every capability in force whose actions a broker performs, by name."""
    current = registry.current
    found: dict[str, Leased] = {}
    for name, capability in sorted(current.capabilities.items()):
        server = current.servers.get(capability.server)
        if server is not None and server.target and capability.lease is not None:
            found[name] = Leased(capability, capability.lease, server.target)
    return found


def leased(registry: RegistryStore, name: str) -> Leased:
    """Return one of these capabilities. Raises Refused (`capability.unknown`, `capability.unleased`)."""
    found = leased_capabilities(registry).get(name)
    if found is not None:
        return found
    if name in registry.current.capabilities:
        raise CAPABILITY_UNLEASED(
            f"capability {shown(name)} has no lease that a broker mints: see `answerable lease boundaries`"
        )
    raise CAPABILITY_UNKNOWN(f"there is no capability {shown(name)}: see `answerable capability list`")


async def rights_of(leases: LeaseSide | None, one: Leased) -> Sequence[Right]:
    """Return the rights that its grants give; empty where unknown. Raises Unavailable (`broker.*`)."""
    return await broker_of(leases).asks.rights(one.target, one.lease.grants.thaw())


async def count_lease_use(
    recorder: Recorder, registry: RegistryStore, leases: LeaseSide | None, *, since: int = 0, start: int = 0
) -> UsePage:
    """Count the use in the ledger from an index on, for at most PAGE_SECONDS_MAX.

    since: Unix milliseconds, for the first page; later pages pass `start`. Raises Unavailable.
    """
    ends_at = recorder.clock.monotonic() + PAGE_SECONDS_MAX
    known = leased_capabilities(registry)
    counting = _Counting(recorder.subject_keys, known)
    first = start or begins_at(recorder.ledger, since)
    end = first
    async for stored in in_turns(recorder.ledger, recorder.clock, first, ends_at):
        if stored.tag in _ENDED:
            counting.add(stored, recorder.ledger.entry(whole(leaf_of(stored), "intent")), since)
        end = stored.index + 1
    size = recorder.ledger.size
    return UsePage(
        start=first,
        end=end,
        size=size,
        more=end < size,
        tallies=counting.tallies,
        templates={name: one.template for name, one in known.items()},
        others=tuple(log.name for log in broker_of(leases).others()),
    )


async def count_lease_use_elsewhere(
    subject_keys: SubjectKeys, registry: RegistryStore, leases: LeaseSide | None, name: str, *, since: int = 0
) -> UsePage:
    """Count the use in another process's whole log, as it is on disk.

    Raises Refused (`lease.log_unknown`), Unavailable and Broken (`ledger.*`): an unreadable log must not count as
    unused.
    """
    log = next((one for one in broker_of(leases).others() if one.name == name), None)
    if log is None:
        raise LEASE_LOG_UNKNOWN(f"there is no log {shown(name)} beside this one")
    for _ in range(TRIES_MAX - 1):
        try:
            return await _counted_beside(subject_keys, registry, log, since)
        except AnswerableError:
            # The log's process may be writing to it.
            await anyio.sleep(TRY_SECONDS)
    return await _counted_beside(subject_keys, registry, log, since)


async def _counted_beside(
    subject_keys: SubjectKeys, registry: RegistryStore, log: StoredLog, since: int
) -> UsePage:
    known = leased_capabilities(registry)
    counting = _Counting(subject_keys, known)
    begun: dict[int, StoredEntry] = {}
    entries, size = iter(log.entries(0)), 0
    while some := await to_thread.run_sync(lambda: list(islice(entries, ENTRIES_AT_A_TIME))):
        for stored in some:
            if stored.tag == Tag.INTENT and leaf_of(stored).get("capability") in known:
                begun[stored.index] = stored
            elif stored.tag in _ENDED:
                intent = whole(leaf_of(stored), "intent")
                # An indeterminate intent may still get its true outcome.
                of = begun.get(intent) if stored.tag == Tag.INDETERMINATE else begun.pop(intent, None)
                if of is not None:
                    counting.add(stored, of, since)
        size = some[-1].index + 1
        await anyio.sleep(REST_SECONDS)
    templates = {name: one.template for name, one in known.items()}
    return UsePage(start=0, end=size, size=size, more=False, tallies=counting.tallies, templates=templates)


class _Counting:
    def __init__(self, subject_keys: SubjectKeys, known: Mapping[str, Leased]) -> None:
        self._subject_keys, self._known = subject_keys, known
        # Scopes of templates without placeholders never change, so they are computed once.
        self._whole = {name: one.template for name, one in known.items() if not _holes(one)}
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
        tally = self.tallies.setdefault(one.capability.name, UseTally())
        if leaf.get("status") == "succeeded":
            self._add_succeeded(tally, one, stored, begun, at)
        elif leaf.get("status") == "failed":
            tally.failed += 1
        elif stored.tag == Tag.INDETERMINATE:
            tally.unended += 1

    def _add_succeeded(
        self, tally: UseTally, one: Leased, stored: StoredEntry, begun: StoredEntry, at: int
    ) -> None:
        fields = fields_of(self._subject_keys, stored, leaf_of(stored))
        if fields is None:
            tally.add_untold("unreadable", at)
            return
        told = used_in(fields.get("used"))
        if told is None:
            tally.add_untold("not_told", at)
            return
        scope, used = told
        expected = self._whole.get(one.capability.name) or self._filled(one, begun)
        if expected is None:
            tally.add_untold("unreadable", at)
        elif expected != scope:
            tally.elsewise += 1
        else:
            tally.add(used, at)

    def _filled(self, one: Leased, begun: StoredEntry) -> str | None:
        """Return the digest of the scope that the template now in force gives for this action; None where the action
        cannot be read."""
        leaf = leaf_of(begun)
        fields = fields_of(self._subject_keys, begun, leaf)
        action = fields.get("action") if fields is not None else None
        arguments = action.get("arguments") if isinstance(action, dict) else None
        if fields is None or not isinstance(arguments, dict):
            return None
        capability, resource = one.capability, _resource(fields)
        if not resource and RESOURCE in holes_in(one.lease.grants.thaw()):
            return None
        values = scope_values(
            capability.arguments,
            named_arguments(capability.arguments, arguments),
            resource=resource,
            mandate=str(leaf.get("mandate")),
            agent=str(leaf.get("agent")),
        )
        try:
            return filled(one.lease.grants.thaw(), values).hex
        except Refused:
            # The action lacks a value that this template needs, so it ran under another one.
            return ""


def with_grants(document: JSONValue, grants: JSONValue) -> JSONValue:
    """Return a capability's document with other grants and no other change. Raises Malformed (`capability.lease`)."""
    copy = json.loads(json.dumps(document))
    lease = copy.get("spec", {}).get("lease") if isinstance(copy, dict) else None
    if not isinstance(lease, dict) or "grants" not in lease:
        raise CAPABILITY_LEASE()
    lease["grants"] = grants
    result: JSONValue = copy
    return result


def _holes(one: Leased) -> bool:
    return bool(holes_in(one.lease.grants.thaw()))


def _resource(fields: Mapping[str, JSONValue]) -> str:
    question = fields.get("question")
    resource = question.get("resource") if isinstance(question, dict) else None
    return str(resource.get("id") or "") if isinstance(resource, dict) else ""
