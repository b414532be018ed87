"""Snapshot of what is in force at one moment, for asking who could use a capability; `moment_now` builds it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import anyio.lowlevel

from answerable.core.canonical import encode, parse
from answerable.core.decision.policy_context import capability_facts
from answerable.core.identity.names.principal import AgentId
from answerable.core.registry.policy_sets.policy_statement import read_statement
from answerable.core.registry.tools.tool_hints import UNHINTED_TIER, raised
from answerable.core.registry.tools.tool_pin import is_pinned
from answerable.errors import Refused, Unavailable, shown
from answerable.errors.codes.action import UPSTREAM_UNKNOWN, UPSTREAM_UNKNOWN_REFUSED
from answerable.errors.codes.policy import ANSWERS_UNKNOWN_NAME
from answerable.flows.revocation.end_without_room import no_room
from answerable.flows.walk.may_act import agent_fault, offered_definition
from answerable.flows.walk.pin_tools import at_hinted_tier, pinning_now
from answerable.verify.partial_asking import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.budget import Account, Amounts, Lack
    from answerable.core.mandate.mandate import Mandate, MandateId, MandateState
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.policy_sets.policy_statement import PolicyStatement
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.state.worlds import Verification
    from answerable.ports.parts_in_force import CurrentManifests, Held, Revoked
    from answerable.ports.shard_link import ShardLink

AT_ONCE: Final = 64
"""Agents checked in one turn before the event loop runs other tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A registry that does not change while it is queried. Implements flows.refuse_revoked.CurrentRegistry."""

    current: RegistrySnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One moment, for one capability. Implements flows.refuse_revoked.Ends.

    `origin`: of the log that mandates name. `mandates`: by agent, newest first. `used`, `lack`: of budgets, as in the
    register of mandates. `statement`: the policy sets in force. `capability`: the capability in question. `tool`: what
    policy sees of it, at the tier its tool has; or why nobody can use it. `agents`: agents that can do nothing, with
    the reason. `nobody`: why nobody can do anything. `is_offered`: whether it is known what servers offer.
    `reaches`: whether a log belongs to another shard, to which an action under a mandate for it is handed.
    """

    at: UnixMillis
    origin: str
    registry: Snapshot
    manifests: CurrentManifests
    revocations: Revoked
    holds: Held
    mandates: Mapping[AgentId, Sequence[Mandate]]
    state: Callable[[MandateId], MandateState]
    used: Callable[[str], Amounts]
    lack: Callable[[Sequence[Account], Amounts], Lack | None]
    statement: PolicyStatement
    capability: Capability
    tool: Mapping[str, object] | Refused
    agents: Mapping[AgentId, Refused]
    nobody: Refused | None = None
    is_offered: bool = True
    reaches: Callable[[str], bool] = lambda _: False


async def moment_now(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    action: str,
    *,
    link: ShardLink | None = None,
) -> Moment:
    """Build the snapshot of now for this capability from memory, yielding to the event loop between agents. link: to
    other shards, if there may be any.

    Raises Malformed: `answers.unknown_name`, `policy.statement`; Unavailable.
    """
    authority, verification = planning.authority, planning.verification
    current, now = authority.registry.current, authority.clock.now()
    statement, capability = (
        deciding.policies.decision_point.policy_statement,
        named_capability(current, action),
    )
    given: dict[AgentId, list[Mandate]] = {}
    for mandate in authority.mandates.all():
        given.setdefault(mandate.agent, []).append(mandate)
    faults: dict[AgentId, Refused] = {}
    for number, name in enumerate(current.agents):
        if (
            fault := agent_fault(
                authority, deciding.counters.quota, verification, deciding.policies, name, now
            )
        ) is not None:
            faults[name] = fault
        if number % AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
    return Moment(
        at=now,
        origin=recorder.ledger.origin,
        registry=Snapshot(current=current),
        manifests=authority.manifests,
        revocations=authority.revocations,
        holds=authority.holds,
        mandates=given,
        state=authority.mandates.state,
        used=authority.mandates.used,
        lack=authority.mandates.lack,
        statement=read_statement(statement),
        capability=capability,
        tool=_tool(authority, verification, deciding.asking.limits, capability),
        agents=faults,
        nobody=recorder.unwitnessed() or no_room(authority.room),
        is_offered=verification.upstream.is_running,
        reaches=link.reaches if link is not None else lambda _: False,
    )


def named_capability(current: RegistrySnapshot, action: str) -> Capability:
    """Return the active capability of this name. Raises Malformed (`answers.unknown_name`)."""
    capability = current.capabilities.get(action)
    if capability is None:
        raise ANSWERS_UNKNOWN_NAME(f"no active capability was called {shown(action)} then")
    return capability


def unoffered(capability: Capability, tool: JSONValue | None) -> Mapping[str, Any]:
    """Return what policy sees of a capability when it is not known what its server offers.

    Uses the pinned definition. A tier that depends on an unknown definition is marked unknown.
    """
    if not is_pinned(capability) or capability.tier >= UNHINTED_TIER:
        return capability_facts(capability)
    digest = sha256(encode(tool)).hexdigest() if tool is not None else ""
    if tool is None or capability.definition not in ("", digest):
        return {**capability_facts(capability), "tier": unknown("capability.tier")}
    return capability_facts(raised(capability, tool))


def _tool(
    authority: AuthorityRegisters, verification: Verification, limits: WalkLimits, capability: Capability
) -> Mapping[str, Any] | Refused:
    if not verification.upstream.is_running:
        pin = verification.pins.current(capability.server, capability.target)
        return unoffered(capability, parse(pin.text) if pin is not None else None)
    try:
        definition = offered_definition(
            authority,
            verification.upstream,
            verification.pins,
            verification.fits,
            capability,
            pinning_now(limits, authority.clock),
        )
    except Refused as fault:
        return fault
    except Unavailable as unread:
        if unread.code != UPSTREAM_UNKNOWN.id:
            raise
        return UPSTREAM_UNKNOWN_REFUSED(unread.message)
    return capability_facts(at_hinted_tier(verification.fits, capability, definition))
