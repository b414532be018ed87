"""Shadow policy: evaluate a candidate policy set on every recorded decision, without any effect.

The shadow follows the ledger. So it delays no action, cannot act, sees everything recorded, and survives a restart. It
does not see refusals past an agent's quota, which are only counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from anyio import to_thread

from answerable.core.approval.approval import ApprovalId
from answerable.core.canonical import encode, parse
from answerable.core.decision.compared import ShadowSeen, ShadowSet
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.policy_sets.policy_record import PolicyRecord
from answerable.errors import Malformed, Refused
from answerable.errors.codes.policy import PUBLICATION_NO_ASKING, SHADOW_NONE
from answerable.flows.policy.compare_decisions import compared, declared_in
from answerable.flows.policy.publish_policy import planned_sets
from answerable.flows.policy.simulate_policy import candidate_name
from answerable.flows.recording.paced_reading import in_turns
from answerable.flows.registry.keep_policies import records_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.opened import FindKey
    from answerable.core.registry.documents.policy_parts import PolicyParts
    from answerable.flows.state.drill_desk import DrillState
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.policy_desk import Declared, PolicyState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.ledger import Ledger
    from answerable.ports.policy_evaluation import PolicyAsking
    from answerable.ports.registry_store import RegistryStore

KIND: Final = "shadow"
SET: Final = "set"
ROUND_SECONDS_MAX: Final = 0.5
DIFFERENCES_MAX: Final = 200
"""The latest differences stored; all are counted."""


async def start_shadow(
    ledger: Ledger,
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    entropy: Entropy,
    documents: Sequence[JSONValue],
    *,
    removed: Sequence[str] = (),
    by: str,
) -> ShadowSet:
    """Start shadowing these policy sets, in place of those shadowed now.

    Raises Malformed (`registry.faults`, `policy.*`), Refused (`publication.unknown`), Unavailable.
    """
    records = records_of(policies)
    policies.shadow = await _candidate(registry, policies, drills, limits, clock, None, documents, removed)
    shadow = ShadowSet(
        id=entropy.token(),
        documents=[encode(one).decode() for one in documents],
        removed=[*removed],
        since=clock.now(),
        by=by,
    )
    policies.seen = ShadowSeen(shadow=shadow.id, began=ledger.size, read_to=ledger.size)
    records.put(PolicyRecord(kind=KIND, id=SET, at=shadow.since, body=msgspec.json.encode(shadow)))
    _keep(ledger, policies, clock, policies.seen)
    return shadow


def stop_shadow(policies: PolicyState) -> ShadowSet:
    """Stop the shadow and delete its counts. Raises Refused (`shadow.none`), Unavailable."""
    shadow = shadow_set(policies)
    if shadow is None:
        raise SHADOW_NONE()
    records = records_of(policies)
    for record in records.all(KIND):
        records.remove(KIND, record.id)
    policies.shadow = policies.seen = None
    return shadow


def shadow_set(policies: PolicyState) -> ShadowSet | None:
    """Return the shadowed set, whichever process started it. Raises Unavailable."""
    record = records_of(policies).find(KIND, SET)
    return None if record is None else msgspec.json.decode(record.body, type=ShadowSet)


def shadow_seen(ledger: Ledger, policies: PolicyState, shadow: ShadowSet) -> ShadowSeen:
    """Return how far the shadow has followed this log. Raises Unavailable."""
    seen = policies.seen
    if seen is None:
        record = records_of(policies).find(KIND, ledger.origin)
        seen = None if record is None else msgspec.json.decode(record.body, type=ShadowSeen)
    if seen is None or seen.shadow != shadow.id:
        # Another process started it: follow it from now on.
        seen = ShadowSeen(shadow=shadow.id, began=ledger.size, read_to=ledger.size)
    policies.seen = seen
    return seen


def shadow_elsewhere(
    policies: PolicyState, shadow: ShadowSet, origins: Iterable[str]
) -> dict[str, ShadowSeen | None]:
    """Return how far the processes of other logs have followed the shadow, by log; None for one that has not begun.
    Raises Unavailable."""
    seen = {
        record.id: msgspec.json.decode(record.body, type=ShadowSeen)
        for record in records_of(policies).all(KIND)
        if record.id != SET
    }
    return {
        origin: one if (one := seen.get(origin)) is not None and one.shadow == shadow.id else None
        for origin in origins
    }


async def follow_shadow(
    recorder: Recorder,
    authority: AuthorityRegisters,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
) -> bool:
    """Run one round of at most `ROUND_SECONDS_MAX`. Return whether there is more to read. Raises Unavailable."""
    if policies.records is None:
        return False
    shadow = await to_thread.run_sync(shadow_set, policies)
    if shadow is None:
        policies.shadow = policies.seen = None
        return False
    seen = shadow_seen(recorder.ledger, policies, shadow)
    documents = [parse(text.encode()) for text in shadow.documents]
    try:
        policies.shadow = await _candidate(
            authority.registry,
            policies,
            drills,
            limits,
            recorder.clock,
            policies.shadow,
            documents,
            shadow.removed,
        )
    except (Malformed, Refused) as fault:
        # The registry changed and the set no longer compiles. Decisions wait until it does, and the fault is reported.
        seen.fault = fault.message
        await to_thread.run_sync(_keep, recorder.ledger, policies, recorder.clock, seen)
        return False
    seen.fault, seen.policy_set = "", policies.shadow[1].policy_set
    ends_at = recorder.clock.monotonic() + ROUND_SECONDS_MAX
    if not await _read_declared(recorder, policies, ends_at):
        return True
    if policies.seen is seen and seen.read_to == seen.began:
        # Whoever asks another process is told that this log is compared, too, also where nothing is decided.
        await to_thread.run_sync(partial(_begin, recorder.ledger, policies, recorder.clock, seen))
    before, known = seen.read_to, _Before(recorder.subject_keys.find, policies.declared, authority.approvals)
    async for stored in in_turns(recorder.ledger, recorder.clock, seen.read_to, ends_at):
        found = compared(known, policies.shadow[1], stored, seen.tally)
        seen.read_to = stored.index + 1
        if found is not None:
            seen.differences = [*seen.differences[1 - DIFFERENCES_MAX :], found]
        if policies.seen is not seen:
            return False
    if policies.seen is seen and seen.read_to > before:
        await to_thread.run_sync(partial(_keep, recorder.ledger, policies, recorder.clock, seen))
    return seen.read_to < recorder.ledger.size


def _begin(ledger: Ledger, policies: PolicyState, clock: Clock, seen: ShadowSeen) -> None:
    """Store that the log is followed, unless it is stored already."""
    record = records_of(policies).find(KIND, ledger.origin)
    if record is None or msgspec.json.decode(record.body, type=ShadowSeen).shadow != seen.shadow:
        _keep(ledger, policies, clock, seen)


def _keep(ledger: Ledger, policies: PolicyState, clock: Clock, seen: ShadowSeen) -> None:
    """Store counts and position in one write, so that no entry counts twice after a crash."""
    record = PolicyRecord(kind=KIND, id=ledger.origin, at=clock.now(), body=msgspec.json.encode(seen))
    records_of(policies).put(record)


@dataclass(frozen=True, slots=True)
class _Before:
    """What was read of policy sets, and the register of approvals. Implements
    flows.policy.compare_decisions.KnownBefore."""

    find: FindKey
    read: Declared
    approvals: ApprovalRegister

    def declared(self, policy_set: str) -> PolicyParts | None:
        return self.read.parts.get(policy_set)

    def was_test(self, approval: str) -> bool:
        found = self.approvals.find(ApprovalId(approval))
        return found is not None and bool(found.told_test)


async def _candidate(
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    known: tuple[str, PolicyAsking] | None,
    documents: Sequence[JSONValue],
    removed: Sequence[str],
) -> tuple[str, PolicyAsking]:
    """Compile a candidate; return it with its name. `known`: an earlier candidate to reuse if equal.

    Raises Malformed (`registry.faults`, `policy.*`), Refused (`publication.unknown`), Unavailable.
    """
    compile_asking = policies.compile_asking
    if compile_asking is None:
        raise PUBLICATION_NO_ASKING()
    name = candidate_name(registry, documents, removed)
    if known is not None and known[0] == name:
        return known
    plan = await planned_sets(registry, policies, drills, limits, clock, documents, removed, same=True)
    return name, await to_thread.run_sync(partial(compile_asking, plan.policies, plan.snapshot))


async def _read_declared(recorder: Recorder, policies: PolicyState, ends_at: float) -> bool:
    """Read what policy sets declared, continuing from the last call. Return whether the log is read to its end."""
    declared, size = policies.declared, recorder.ledger.size
    async for stored in in_turns(recorder.ledger, recorder.clock, declared.read_to, ends_at):
        declared.read_to = stored.index + 1
        if stored.tag == Tag.POLICY_CHANGE:
            said = declared_in(stored, recorder.subject_keys.find)
            if said is not None:
                declared.parts[str(leaf_of(stored).get("after"))] = said
    return declared.read_to >= size
