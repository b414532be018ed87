"""Enrol a running process as an instance with a SPIFFE ID, based on what was measured, and renew it.

Laws: - the ledger knows an instance before anybody can act as it; - which agent it is follows from measurements
  and the current registry, never from its own statement; - a key belongs to one instance for good and to nothing
  else, and an instance never gets another key: for a new key,
 enrol again and end the instance of the old one; - a sub-agent has its parent's agent, a key of its own, and
  never a longer life.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import agent_instance_id, spiffe_id
from answerable.core.identity.workload.attestation import matching_agent
from answerable.core.identity.workload.evidence import Evidence
from answerable.core.identity.workload.instance import INSTANCE_BYTES, Instance
from answerable.core.ledger import records_workload
from answerable.core.ledger.subject import agent_subject
from answerable.core.mandate.revocation import RevocationTarget, instance_names
from answerable.core.registry.documents.documents import Agent
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes import workloads as codes
from answerable.errors.codes.registry import AGENT_INACTIVE
from answerable.flows.counters.trigger_rules import count, rules_now
from answerable.flows.counters.watch_rules import handed_on
from answerable.flows.recording.record_entry import record_entry, sealing_for
from answerable.flows.revocation.end_instance import end_instance, written
from answerable.flows.state.known_callers import require_vouched
from answerable.flows.trust_domain.workloads import entries_of
from answerable.flows.validity.refuse_revoked import agent_names, refuse_names
from answerable.flows.workloads.compare_manifest import as_compared, compared, is_another_program, words_of
from answerable.flows.workloads.name_sub_agent import next_sub_agent, sub_agent_evidence
from answerable.ports.instance_register import MAY_RETURN

if TYPE_CHECKING:
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.ledger.entry import Receipt
    from answerable.core.registry.manifests.manifest_drift import Measured
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.trust_domain.workloads import Workloads


async def enrol(
    workloads: Workloads,
    *,
    evidence: Evidence,
    key: PublicKey | None,
    process: str = "",
    agent_up: bool = False,
    measured: Measured | None = None,
    program: Measured | None = None,
    parent: SpiffeId | None = None,
) -> Instance:
    """Return the instance for what was measured: a new one, or the existing one of a live local process.

    `key`: key whose possession the caller has proved; None for a process identified by its connection. `process`: of a
    local process, `boot-id:pid:start`. `agent_up`: the process was observed to run `answerable agent up`. `measured`:
    what the process says it measured, which counts only from a sidecar; None if it says nothing. `program`: what the
    kernel reported of the process that a sidecar started as the agent. `parent`: of a sub-agent, whose proof the caller
    has checked; `evidence` and drift are then the parent's, unless measured now.

    Raises Refused (`attestation.unknown`, `attestation.ambiguous`, `agent.inactive`, `manifest.drifted`,
    `manifest.unmeasured`, `instance.*`), Malformed (`instance.duplicate`) and Unavailable.
    """
    if parent is not None:
        return await _enrol_sub_agent(workloads, parent, key, measured)
    if key is None and not process:
        raise codes.INSTANCE_NO_KEY("only a local process can enrol without a key: send a public key")
    names = [f"key:{key.thumbprint}"] if key is not None else []
    async with workloads.turn(*names, *([f"process:{process}"] if process else [])):
        agent = agent_of(workloads, evidence)
        own = workloads.instances.by_process(process) if process else None
        if own is not None:
            if own.is_live(workloads.recorder.clock.now()):
                _asked_again(own, agent, key)
                another = evidence if is_another_program(evidence, own.evidence) else None
                if measured is None and program is None and another is None:
                    return own
                return await renew(
                    workloads, own.id, evidence=another, agent_up=agent_up, measured=measured, program=program
                )
            await end_instance(workloads, own.id, because="instance.expired")
        if process:
            # Also after the end above: another end of this process may have come first.
            _check_may_return(workloads, process)
        if key is not None:
            _check_new_key(workloads, key)
        _check_room(workloads, agent.name)
        now = workloads.recorder.clock.now()
        told = words_of(workloads, evidence, measured, agent_up=agent_up, program=program)
        made = compared(workloads, agent, told).let_in(agent)
        instance = Instance(
            id=agent_instance_id(
                workloads.trust.domain, agent.name, workloads.recorder.entropy.bytes(INSTANCE_BYTES).hex()
            ),
            agent=agent.name,
            evidence=evidence,
            enrolled_at=now,
            expires_at=_end_of_life(workloads, now),
            key=key,
            process=process,
            agent_up=agent_up,
        )
        return await _put_into_force(workloads, as_compared(instance, made))


async def renew(
    workloads: Workloads,
    instance: SpiffeId,
    *,
    evidence: Evidence | None = None,
    agent_up: bool = False,
    measured: Measured | None = None,
    program: Measured | None = None,
) -> Instance:
    """Extend the life of an instance that asked for it by its key or its connection, and measure it again.

    `evidence`: measured just now, if possible; otherwise the evidence of the enrolment is matched with the current
    registry. `agent_up`: of the process measured just now. `measured`: missing fields stay as measured before.
    `program`: what the kernel reported of the process that a sidecar started as the agent.

    In the first half of its life nothing is changed or recorded unless something is new. Drift is stored even if the
    renewal is refused. Raises as `enrol`, and Refused `instance.ended`, `attestation.changed`.
    """
    async with workloads.turn(f"instance:{instance}"):
        found = live_instance(workloads, instance)
        now = workloads.recorder.clock.now()
        agent = _same_agent(workloads, found, evidence)
        above = _parent_of(workloads, found)
        shown_by = above or (replace(found, evidence=evidence, agent_up=agent_up) if evidence else found)
        told = words_of(
            workloads,
            shown_by.evidence,
            measured,
            agent_up=shown_by.agent_up,
            program=program if not above else None,
        )
        made = compared(workloads, agent, told, before=found, parent=above)
        fault = made.fault(agent)
        changed = as_compared(found, made)
        if evidence is not None and not found.parent:
            changed = replace(changed, evidence=evidence, agent_up=agent_up)
        half = found.expires_at - workloads.limits.instance_seconds * 500
        if fault is None and changed == found and now < half:
            return found
        if fault is None:
            changed = replace(changed, expires_at=_end_of_life(workloads, now, above))
        if changed != found:
            await _change(workloads, changed)
    if fault is not None:
        raise fault
    return changed


async def compare_again(workloads: Workloads, instance: SpiffeId) -> Instance | None:
    """Compare an instance's stored measurements with the manifest in force, without contacting the instance.

    A matching instance continues; any other acts as drifted. Its life is not extended. Returns None if it has ended.
    Raises Refused (`workloads.pace`, `manifest.*` for a manifest that is not valid) and Unavailable.
    """
    async with workloads.turn(f"instance:{instance}"):
        try:
            found = live_instance(workloads, instance)
        except Refused:
            return None
        agent = _active(workloads, found.agent)
        made = compared(workloads, agent, None, before=found, parent=_parent_of(workloads, found))
        changed = as_compared(found, made)
        if changed != found:
            await _change(workloads, changed)
        return changed


def live_instance(workloads: Workloads, instance: SpiffeId) -> Instance:
    """Return the instance if it and its agent may act now.

    Raises Refused (`instance.unknown`, `.ended`, `.unvouched`, `agent.inactive`, `revoked.*`).
    """
    found = workloads.instances.find(instance)
    if found is None:
        raise codes.INSTANCE_UNKNOWN(f"there is no instance {shown(instance)}")
    if not found.is_live(workloads.recorder.clock.now()):
        raise codes.INSTANCE_ENDED(f"instance {shown(instance)} has ended: enrol anew")
    parent = _parent_of(workloads, found)
    if parent is None and found.parent:
        raise codes.INSTANCE_ENDED(f"the parent instance of {shown(instance)} has ended")
    require_vouched(workloads.trust, found if parent is None else parent)
    _active(workloads, found.agent)
    _refuse_revoked(workloads, found)
    return found


def agent_of(workloads: Workloads, evidence: Evidence) -> Agent:
    """Return the active agent that the evidence belongs to.

    Raises Refused: `attestation.unknown`, `attestation.ambiguous`, and `agent.inactive` if the matching agent is not
    active.
    """
    current = workloads.authority.registry.current
    name = matching_agent(workloads.in_force(), evidence.selectors)
    if name is not None:
        return _active(workloads, name)
    down = matching_agent(entries_of(current.idle_agents.values()), evidence.selectors)
    if down is not None:
        raise AGENT_INACTIVE(f"agent {shown(down)} is not active")
    raise codes.ATTESTATION_UNKNOWN()


async def _enrol_sub_agent(
    workloads: Workloads, parent: SpiffeId, key: PublicKey | None, measured: Measured | None
) -> Instance:
    if key is None:
        raise codes.INSTANCE_NO_KEY("a sub-agent needs its own key: send a public key")
    async with workloads.turn(f"key:{key.thumbprint}", f"instance:{parent}"):
        # Read this first: no await may come between the checks below.
        last = await anyio.to_thread.run_sync(partial(workloads.instances.last_sub_agent, parent))
        above = live_instance(workloads, parent)
        if above.parent:
            raise codes.INSTANCE_DEPTH()
        now = workloads.recorder.clock.now()
        siblings = [
            one
            for one in workloads.instances.of_agent(above.agent)
            if one.parent == str(parent) and one.is_live(now)
        ]
        if len(siblings) >= workloads.limits.sub_agents_max:
            message = f"an instance has at most {workloads.limits.sub_agents_max} sub-agents at a time"
            raise codes.INSTANCE_SUB_AGENTS(message)
        _check_new_key(workloads, key)
        _check_room(workloads, above.agent)
        agent = _active(workloads, above.agent)
        told = words_of(workloads, above.evidence, measured, agent_up=above.agent_up)
        made = compared(workloads, agent, told, parent=above).let_in(agent)
        instance = Instance(
            id=next_sub_agent(workloads, above, last),
            agent=above.agent,
            evidence=sub_agent_evidence(above),
            enrolled_at=now,
            expires_at=_end_of_life(workloads, now, above),
            key=key,
            parent=str(parent),
            agent_up=above.agent_up,
        )
        return await _put_into_force(workloads, as_compared(instance, made))


async def _put_into_force(workloads: Workloads, instance: Instance) -> Instance:
    workloads.count_instance(instance.agent)
    # 1. Ledger first. After a crash here the instance is recorded but not in force; the process enrols again.
    left = await _record(workloads, instance, is_new=True)
    # 2. In force, unless something it depends on ended meanwhile.
    _active(workloads, instance.agent)
    _refuse_revoked(workloads, instance)
    if instance.parent and _parent_of(workloads, instance) is None:
        raise codes.INSTANCE_ENDED("the parent instance ended during the enrolment")
    try:
        await written(partial(workloads.instances.add, instance))
    except Malformed as error:
        if error.code != "instance.parent":
            raise
        raise codes.INSTANCE_ENDED("the parent instance ended during the enrolment") from None
    await _still_stands(workloads, instance)
    if left is not None:
        raise left
    return instance


async def _change(workloads: Workloads, changed: Instance) -> None:
    """Record a change, then put it into force. An instance that ended meanwhile stays ended."""
    workloads.count_document(changed.agent)
    left = await _record(workloads, changed)
    _active(workloads, changed.agent)
    if not await written(partial(workloads.instances.put, changed)):
        raise _ended_meanwhile(changed)
    await _still_stands(workloads, changed)
    if left is not None:
        raise left


async def _still_stands(workloads: Workloads, instance: Instance) -> None:
    """Check that nobody ended the instance or its agent while the change was being written.

    A flow that ends the instances of an agent does not see one that is being written, so it is ended here.
    """
    try:
        _active(workloads, instance.agent)
        _refuse_revoked(workloads, instance)
    except Refused as error:
        family = error.code.partition(".")[0]
        because = family if family in ("held", "revoked") else error.code
        await end_instance(workloads, instance.id, because=because)
        raise
    found = workloads.instances.find(instance.id)
    if found is None or found.state != "live":
        raise _ended_meanwhile(instance)


def _ended_meanwhile(instance: Instance) -> Refused:
    return codes.INSTANCE_ENDED(f"instance {shown(instance.id)} ended at the same moment")


def _check_may_return(workloads: Workloads, process: str) -> None:
    """Refuse a process whose instance was ended: otherwise its next enrolment would undo the end."""
    because = workloads.instances.process_ended(process)
    if because and because not in MAY_RETURN:
        message = f"the instance of this process was ended ({shown(because, 40)}): restart the process"
        raise codes.INSTANCE_ENDED(message)


async def _record(workloads: Workloads, instance: Instance, *, is_new: bool = False) -> BaseException | None:
    recorder, authority, counters = workloads.recorder, workloads.authority, workloads.applying.counters

    def then(placed: Receipt) -> None:
        # Count before the instance is in force, so that the one that exceeds a limit is refused.
        if is_new and instance.parent and rules_now(authority.registry, counters.stop_rules):
            given = handed_on([instance.agent], "", instance.parent, at=recorder.clock.now())
            count(authority, counters, recorder.entropy, given, index=placed.index)

    sealing = sealing_for(recorder, agent_subject(instance.agent))
    entry = records_workload.workload_enrolled(instance, at=recorder.clock.now(), sealing=sealing)
    _, left = await record_entry(recorder, entry, then=then)
    return left


def _asked_again(own: Instance, agent: Agent, key: PublicKey | None) -> None:
    """Check that a live process that enrols again keeps its agent and its key."""
    if own.agent != agent.name:
        message = "this process was enrolled as another agent: end that instance, or restart the process"
        raise codes.ATTESTATION_CHANGED(message)
    if key is not None and key != own.key:
        message = "this process is already enrolled with another key or without one: end that instance first"
        raise codes.INSTANCE_KEY_DIFFERS(message)


def _same_agent(workloads: Workloads, found: Instance, evidence: Evidence | None) -> Agent:
    """Return the agent of an instance if its evidence still matches that agent."""
    if found.parent:
        return _active(workloads, found.agent)
    agent = agent_of(workloads, evidence or found.evidence)
    if agent.name != found.agent:
        raise codes.ATTESTATION_CHANGED("the selectors measured now match another agent: enrol again")
    return agent


def _check_new_key(workloads: Workloads, key: PublicKey) -> None:
    """Refuse a key that is or was an instance's, or that is registered to anybody."""
    if workloads.instances.by_key(key.thumbprint) is not None:
        raise codes.INSTANCE_KEY_TAKEN()
    if key.thumbprint in _registered_keys(workloads.authority.registry.current):
        raise codes.INSTANCE_KEY_REGISTERED()


def _registered_keys(current: RegistrySnapshot) -> set[str]:
    holders = (current.agents, current.workflows, current.principals)
    return {key.thumbprint for every in holders for holder in every.values() for key in holder.keys}


def _check_room(workloads: Workloads, agent: AgentId) -> None:
    live = sum(1 for _ in workloads.instances.of_agent(agent))
    if live >= workloads.limits.instances_per_agent_max:
        message = f"agent {shown(agent)} has {live} live instances, which is the limit: end one first"
        raise codes.INSTANCE_TOO_MANY(message)


def _active(workloads: Workloads, name: AgentId) -> Agent:
    agent = workloads.authority.registry.current.agents.get(name)
    if agent is None or agent.status != "active":
        raise AGENT_INACTIVE(f"agent {shown(name)} is not active")
    domain = RevocationTarget("trust_domain", workloads.trust.domain)
    refuse_names(workloads.authority, (*agent_names(workloads.authority, name), domain))
    return agent


def _refuse_revoked(workloads: Workloads, instance: Instance) -> None:
    """Check an instance's own names for revocations and holds; a revoked or held instance gets no SVID."""
    key = instance.key.thumbprint if instance.key is not None else ""
    own = (RevocationTarget("key", key), RevocationTarget("manifest", instance.manifest))
    refuse_names(workloads.authority, (*instance_names(str(instance.id)), *own))


def _parent_of(workloads: Workloads, instance: Instance) -> Instance | None:
    """Return the live parent of a sub-agent; None if it is no sub-agent or the parent has ended."""
    if not instance.parent:
        return None
    parent = workloads.instances.find(spiffe_id(instance.parent))
    return parent if parent is not None and parent.is_live(workloads.recorder.clock.now()) else None


def _end_of_life(workloads: Workloads, now: UnixMillis, parent: Instance | None = None) -> UnixMillis:
    own = UnixMillis(now + workloads.limits.instance_seconds * 1000)
    return own if parent is None else min(own, parent.expires_at)
