"""Revoke authority for good: of a token, hop, mandate, agent, key, manifest, owner, vendor or trust domain.

The stop comes first and is safe without a record. Once the register's `add` has returned, no process starts anything
more under that name. The later steps report what was stopped, deny what waits, and record the revocation. After a crash
between register and ledger, the register marks it as unrecorded and the next start records it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio
import anyio.to_thread

from answerable.core.canonical import parse
from answerable.core.ledger import records_revocation
from answerable.core.ledger.effects import ordered
from answerable.core.ledger.subject import LOG_SUBJECT, principal_subject
from answerable.core.mandate.revocation import Revocation, RevocationTarget, described, instance_names
from answerable.core.registry.documents.standing import retired_agents
from answerable.errors import Unavailable
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.revocation.deny_waiting import drop_approvals
from answerable.flows.revocation.end_instance import end_instances
from answerable.flows.revocation.end_leases import end_leases
from answerable.flows.revocation.end_without_room import is_in_force, told
from answerable.flows.revocation.trace_effects import effects_elsewhere, effects_under, in_flight_under
from answerable.flows.validity.refuse_revoked import agent_names, agents_under, mandate_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from answerable.core.approval.approval import ApprovalId
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.ledger.effects import Done, Effects, InFlight, NotAsked
    from answerable.core.mandate.mandate import MandateId
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess, Recorder
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.revocation_register import RevocationRegister

GRACE_MILLIS: Final = 10_000
"""How long a revocation may wait for the process that made it to record it; then any process does."""
NAMED_MAX: Final = 200
"""Mandates, tokens and instances that an answer names; the rest are counted."""
ENDED_AT_A_TIME: Final = 256
BECAUSE: Final = "revoked"
"""Reason for ended instances in the ledger: a local process is not admitted again as it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What a revocation stopped, and for which actions it came too late.

    `is_new`: whether this call revoked it; otherwise `revocation` is the earlier one. `mandates`: open ones that are
    now unusable. `tokens`: first ids of the ended tokens. `approvals`: waiting ones that are now denied. `instances`:
    SPIFFE IDs that ended. `effects`: what was in flight and what was done under the name, by log of each process of
    this deployment, this one first. `not_asked`: processes that gave no answer.
    """

    revocation: Revocation
    is_new: bool
    mandates: tuple[MandateId, ...]
    mandates_count: int
    tokens: tuple[str, ...]
    tokens_count: int
    approvals: tuple[ApprovalId, ...]
    instances: tuple[str, ...]
    instances_count: int
    effects: tuple[Effects, ...]
    not_asked: tuple[NotAsked, ...]

    @property
    def in_flight(self) -> tuple[InFlight, ...]:
        """Actions started before and not ended, in all logs that answered."""
        return tuple(found for one in self.effects for found in one.in_flight)

    @property
    def done(self) -> tuple[Done, ...]:
        """Actions done, irreversible ones first, in all logs that answered."""
        return ordered(found for one in self.effects for found in one.done)


class TakenAway(NamedTuple):
    """What was open under a revoked name. `tokens_count`: ended tokens. `tokens`: the first of their ids."""

    mandates: tuple[MandateId, ...]
    approvals: tuple[ApprovalId, ...]
    tokens_count: int
    tokens: tuple[str, ...]


async def revoke_authority(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    what: RevocationTarget,
    *,
    by: str,
    reason: str = "",
    workloads: Workloads | None = None,
    looks_back: bool = True,
) -> Stopped:
    """Revoke a name. Repeated, it reports the current state and ends what was added meanwhile.

    `by`: the operator, as the control endpoint knows them. `workloads`: for ending instances. `looks_back`: whether to
    read the ledgers of this process and other shards for what was done; False for agents that return tokens, which must
    not cause such reads.

    Raises Malformed (`revocation.reason`), Unavailable: if the effect is `unknown`, the revocation may be in force and
    not recorded yet; `register.behind` after everything possible without the registers is done.
    """
    revocation = Revocation(what=what, at=recorder.clock.now(), by=by, reason=reason)
    with anyio.CancelScope(shield=True):
        # 1. In force, in every process. After a crash here it is recorded at the next start.
        is_new, behind = await anyio.to_thread.run_sync(_added, authority.revocations, revocation)
        # 2. Find the actions it came too late for, before anything else runs in this process.
        in_flight = in_flight_under(recorder, authority, what)
        if behind is not None:
            raise await _without_room(recorder, authority, live.leases, revocation, in_flight, behind)
        # 3. Deny the waiting approvals, end tokens and update the status lists. After a crash here it is recorded at
        #    the next start.
        taken = await take_away(authority, live, (what,))
        # 4. Record. After a crash here it may be recorded a second time.
        await _record_one(recorder, authority.revocations, what, in_flight, taken.approvals)
        # 5. End instances, and with them their SVIDs in this process.
        instances = await end_revoked_instances(workloads, what) if workloads is not None else ()
    # 6. Read only: a crash here leaves nothing undone.
    here = await effects_under(recorder, authority, what, in_flight, looks_back=looks_back)
    elsewhere, not_asked = await effects_elsewhere(live.link, what) if looks_back else ((), ())
    found = authority.revocations.find((what,))
    return Stopped(
        revocation=found or revocation,
        is_new=is_new,
        mandates=taken.mandates[:NAMED_MAX],
        mandates_count=len(taken.mandates),
        tokens=taken.tokens,
        tokens_count=taken.tokens_count,
        approvals=taken.approvals,
        instances=tuple(str(one.id) for one in instances[:NAMED_MAX]),
        instances_count=len(instances),
        effects=(here, *elsewhere),
        not_asked=not_asked,
    )


def _added(revocations: RevocationRegister, revocation: Revocation) -> tuple[bool, Unavailable | None]:
    """Return whether it is new, and why the registers do not have it, if so."""
    try:
        return revocations.add(revocation), None
    except Unavailable as failed:
        if not is_in_force(failed):
            raise
        return True, failed


async def _without_room(
    recorder: Recorder,
    authority: AuthorityRegisters,
    leases: LeaseSide | None,
    revocation: Revocation,
    in_flight: Sequence[InFlight],
    behind: Unavailable,
) -> Unavailable:
    """Do what is possible without the registers, and return the error. `follow_room` does the rest later."""
    await end_leases(authority.registry, leases, {revocation.what}, why="what it stands under was revoked")
    said = f"{described(revocation.what)} is revoked"
    try:
        await _record_one(recorder, authority.revocations, revocation.what, in_flight, ())
    except Unavailable:
        return told(said, behind, on_record=False)
    return told(said, behind, on_record=True)


async def take_away(
    authority: AuthorityRegisters, live: LiveAccess, what: Collection[RevocationTarget]
) -> TakenAway:
    """End tokens and leases and deny approvals under revoked names. Repeated, it ends what was added since.

    Raises Unavailable: the revocations are in force in any case.
    """
    names = frozenset(what)
    await end_leases(authority.registry, live.leases, names, why="what it stands under was revoked")
    mandates = await anyio.to_thread.run_sync(_open_mandates, authority, names)
    ended = names.union(
        (RevocationTarget("mandate", one) for one in mandates), agents_under(authority, names)
    )
    approvals = await anyio.to_thread.run_sync(drop_approvals, authority, ended)
    count, tokens = await anyio.to_thread.run_sync(_end_tokens, live, ended)
    return TakenAway(mandates=mandates, approvals=approvals, tokens_count=count, tokens=tokens)


async def revoked_wholly(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    what: RevocationTarget,
    workloads: Workloads | None,
) -> None:
    """Do what follows from a revocation in force. Idempotent: repeat it to complete it. Raises Unavailable."""
    taken = await take_away(authority, live, (what,))
    await _record_one(
        recorder, authority.revocations, what, in_flight_under(recorder, authority, what), taken.approvals
    )
    if workloads is not None:
        await end_revoked_instances(workloads, what)


async def take_away_from_agents(authority: AuthorityRegisters, live: LiveAccess) -> None:
    """As `take_away`, for agents that came under a revoked name by a change of the registry or of a manifest.

    Updates the status lists for their tokens. Raises Unavailable.
    """
    if live.tokens is None:
        return
    revoked = frozenset(
        RevocationTarget("agent", one)
        for one in authority.registry.current.agents
        if authority.revocations.find(agent_names(authority, one)) is not None
    )
    if revoked:
        await take_away(authority, live, revoked)


async def take_away_from_retired(registry: RegistryStore, live: LiveAccess) -> None:
    """End the tokens of retired agents, and all tokens derived from them, in the status lists. Idempotent.

    This process already refuses them. Raises Unavailable.
    """
    if live.tokens is None:
        return
    retired = retired_agents(parse(text) for text in registry.documents().values())
    if names := [RevocationTarget("agent", one) for one in retired]:
        await anyio.to_thread.run_sync(live.tokens.end, names)


async def record_revocations(
    recorder: Recorder, authority: AuthorityRegisters, live: LiveAccess, *, overdue_only: bool = True
) -> int:
    """Record revocations that are in force and not in the ledger. Return how many. Raises Unavailable.

    For the start of a process, when no other process can be about to do it (`overdue_only=False`), and for a timer.
    """
    now = recorder.clock.now()
    waiting = await anyio.to_thread.run_sync(authority.revocations.unrecorded)
    due = [one for one in waiting if not overdue_only or abs(now - one.at) >= GRACE_MILLIS]
    for one in due:
        in_flight = in_flight_under(recorder, authority, one.what)
        # The process that revoked it may have ended before anything was taken away.
        taken = await take_away(authority, live, (one.what,))
        await _record(recorder, authority.revocations, one, in_flight, taken.approvals)
    return len(due)


async def _record_one(
    recorder: Recorder,
    revocations: RevocationRegister,
    what: RevocationTarget,
    in_flight: Sequence[InFlight],
    approvals: Sequence[ApprovalId],
) -> None:
    waiting = await anyio.to_thread.run_sync(revocations.unrecorded)
    for one in waiting:
        if one.what == what:
            await _record(recorder, revocations, one, in_flight, approvals)


async def _record(
    recorder: Recorder,
    revocations: RevocationRegister,
    revocation: Revocation,
    in_flight: Sequence[InFlight],
    approvals: Sequence[ApprovalId],
) -> None:
    kind, name = revocation.what
    about_person = kind == "owner"
    entry = records_revocation.revoked(
        revocation,
        at=recorder.clock.now(),
        sealing=sealing_for(recorder, principal_subject(name) if about_person else LOG_SUBJECT),
        by=pseudonym_of(recorder, revocation.by),
        person=pseudonym_of(recorder, name) if about_person else "",
        in_flight=[one.index for one in in_flight],
        approvals=approvals,
    )
    _, left = await record_entry(recorder, entry)
    await anyio.to_thread.run_sync(revocations.recorded, [revocation.what])
    if left is not None:
        raise left


_BELOW_MANDATES: Final = frozenset({"token", "hop"})
"""Kinds that cannot end a mandate: a mandate is above every token. Avoids searching many mandates."""


def _open_mandates(
    authority: AuthorityRegisters, names: frozenset[RevocationTarget]
) -> tuple[MandateId, ...]:
    if all(one.kind in _BELOW_MANDATES for one in names):
        return ()
    now: UnixMillis = authority.clock.now()
    return tuple(
        one.id
        for one in authority.mandates.all()
        if now < one.expires_at
        and authority.mandates.state(one.id) == "open"
        and not names.isdisjoint(mandate_names(authority, one))
    )


def _end_tokens(live: LiveAccess, names: frozenset[RevocationTarget]) -> tuple[int, tuple[str, ...]]:
    if live.tokens is None:
        return 0, ()
    count = live.tokens.end(names)
    _, first = live.tokens.subtree(names)
    return count, tuple(one.jti for one in first[:NAMED_MAX])


async def end_revoked_instances(workloads: Workloads, what: RevocationTarget) -> tuple[Instance, ...]:
    """End the instances under a revoked name, and their sub-agents. Raises Unavailable."""
    hit = [
        one.id for one in workloads.instances.live() if what in names_of_instance(workloads.authority, one)
    ]
    ended: list[Instance] = []
    for start in range(0, len(hit), ENDED_AT_A_TIME):
        ended += await end_instances(workloads, hit[start : start + ENDED_AT_A_TIME], because=BECAUSE)
    return tuple(ended)


def names_of_instance(authority: AuthorityRegisters, instance: Instance) -> tuple[RevocationTarget, ...]:
    """Return the names under which an instance may be ended."""
    key = instance.key.thumbprint if instance.key is not None else ""
    return (
        *agent_names(authority, instance.agent),
        *instance_names(str(instance.id)),
        RevocationTarget("manifest", instance.manifest),
        RevocationTarget("key", key),
    )
