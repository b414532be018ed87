"""Shadow policy: evaluate a candidate policy set on every recorded decision, without any effect.

The shadow follows the ledger. So it delays no action, cannot act, sees everything recorded, and survives a restart. It
does not see refusals past an agent's quota, which are only counted.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from anyio import to_thread

from answerable.core.canonical import encode, parse
from answerable.core.decision.compared import ShadowSeen, ShadowSet
from answerable.core.registry.policy_sets.policy_record import PolicyRecord
from answerable.errors import Malformed, Refused
from answerable.errors.codes.policy import SHADOW_NONE
from answerable.flows.policy.simulate_policy import candidate, compared, read_declared
from answerable.flows.recording.paced_reading import in_turns
from answerable.flows.registry.keep_policies import records_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.flows.state.walk import Walk

KIND: Final = "shadow"
SET: Final = "set"
ROUND_SECONDS_MAX: Final = 0.5
DIFFERENCES_MAX: Final = 200
"""The latest differences stored; all are counted."""


async def start_shadow(
    walk: Walk, documents: Sequence[JSONValue], *, removed: Sequence[str] = (), by: str
) -> ShadowSet:
    """Start shadowing these policy sets, in place of those shadowed now.

    Raises Malformed (`registry.faults`, `policy.*`), Refused (`publication.unknown`), Unavailable.
    """
    records = records_of(walk)
    walk.policies.shadow = await candidate(walk, None, documents, removed)
    shadow = ShadowSet(
        id=walk.entropy.token(),
        documents=[encode(one).decode() for one in documents],
        removed=[*removed],
        since=walk.clock.now(),
        by=by,
    )
    walk.policies.seen = ShadowSeen(shadow=shadow.id, began=walk.ledger.size, read_to=walk.ledger.size)
    records.put(PolicyRecord(kind=KIND, id=SET, at=shadow.since, body=msgspec.json.encode(shadow)))
    _keep(walk, walk.policies.seen)
    return shadow


def stop_shadow(walk: Walk) -> ShadowSet:
    """Stop the shadow and delete its counts. Raises Refused (`shadow.none`), Unavailable."""
    shadow = shadow_set(walk)
    if shadow is None:
        raise SHADOW_NONE()
    records = records_of(walk)
    for record in records.all(KIND):
        records.remove(KIND, record.id)
    walk.policies.shadow = walk.policies.seen = None
    return shadow


def shadow_set(walk: Walk) -> ShadowSet | None:
    """Return the shadowed set, whichever process started it. Raises Unavailable."""
    record = records_of(walk).find(KIND, SET)
    return None if record is None else msgspec.json.decode(record.body, type=ShadowSet)


def shadow_seen(walk: Walk, shadow: ShadowSet) -> ShadowSeen:
    """Return how far the shadow has followed this log. Raises Unavailable."""
    seen = walk.policies.seen
    if seen is None:
        record = records_of(walk).find(KIND, walk.ledger.origin)
        seen = None if record is None else msgspec.json.decode(record.body, type=ShadowSeen)
    if seen is None or seen.shadow != shadow.id:
        # Another process started it: follow it from now on.
        seen = ShadowSeen(shadow=shadow.id, began=walk.ledger.size, read_to=walk.ledger.size)
    walk.policies.seen = seen
    return seen


async def follow_shadow(walk: Walk) -> bool:
    """Run one round of at most `ROUND_SECONDS_MAX`. Return whether there is more to read. Raises Unavailable."""
    if walk.policies.records is None:
        return False
    shadow = await to_thread.run_sync(shadow_set, walk)
    if shadow is None:
        walk.policies.shadow = walk.policies.seen = None
        return False
    seen = shadow_seen(walk, shadow)
    documents = [parse(text.encode()) for text in shadow.documents]
    try:
        walk.policies.shadow = await candidate(walk, walk.policies.shadow, documents, shadow.removed)
    except (Malformed, Refused) as fault:
        # The registry changed and the set no longer compiles. Decisions wait until it does, and the fault is reported.
        seen.fault = fault.message
        await to_thread.run_sync(_keep, walk, seen)
        return False
    seen.fault, seen.policy_set = "", walk.policies.shadow[1].policy_set
    ends_at = walk.clock.monotonic() + ROUND_SECONDS_MAX
    if not await read_declared(walk, ends_at):
        return True
    before = seen.read_to
    async for stored in in_turns(walk, seen.read_to, ends_at):
        found = compared(walk, walk.policies.shadow[1], stored, seen.tally)
        seen.read_to = stored.index + 1
        if found is not None:
            seen.differences = [*seen.differences[1 - DIFFERENCES_MAX :], found]
        if walk.policies.seen is not seen:
            return False
    if walk.policies.seen is seen and seen.read_to > before:
        await to_thread.run_sync(partial(_keep, walk, seen))
    return seen.read_to < walk.ledger.size


def _keep(walk: Walk, seen: ShadowSeen) -> None:
    """Store counts and position in one write, so that no entry counts twice after a crash."""
    record = PolicyRecord(
        kind=KIND, id=walk.ledger.origin, at=walk.clock.now(), body=msgspec.json.encode(seen)
    )
    records_of(walk).put(record)
