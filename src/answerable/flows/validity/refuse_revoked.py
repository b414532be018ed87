"""Check revocations and holds on every name an action depends on. Called before the decision and again before the
effect.

Laws: the names cover everybody and everything that the authority comes from. A result is cached for one epoch of the
registers, one registry and one set of manifests, and no longer. Of holds the cached result lists those not lifted; each
call compares them with the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from answerable.core.containment.hold import HoldTarget
from answerable.core.containment.reach import Judged, reach_of
from answerable.core.identity.keys.compact_jws import kid_of
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.revocation import (
    RevocationTarget,
    hop_names,
    instance_names,
    owner_names,
    vendor_names,
)
from answerable.flows.validity.mandate_validity import schedule_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Set

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.errors import Refused
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.ports.parts_in_force import CurrentManifests, CurrentRegistry, Held, Revoked
    from answerable.ports.worlds import Epoch, Worlds

JUDGED_MAX: Final = 10_000
"""Callers and mandates whose names are cached."""

_OF_AGENTS: Final = frozenset({"key", "manifest", "owner", "vendor"})
"""Kinds of names that an agent acts under because of the registry and its manifest, not because of its own name."""


class InForce(Protocol):
    """What names are derived from: the registers as they are now, a World, or a moment rebuilt from a ledger."""

    @property
    def registry(self) -> CurrentRegistry:
        """The registry."""
        ...

    @property
    def manifests(self) -> CurrentManifests:
        """The manifests of agents."""
        ...


class Ends(InForce, Protocol):
    """The same, with revocations and holds."""

    @property
    def revocations(self) -> Revoked:
        """The revocations."""
        ...

    @property
    def holds(self) -> Held:
        """The holds."""
        ...


def judged_now(authority: AuthorityRegisters, verified: VerifiedRequest) -> Judged:
    """Return the names this request acts under, and which of them any process has revoked or held.

    Does no I/O while nothing is revoked or held. Raises Unavailable if that cannot be read.
    """
    return judged_task(
        authority, verified.caller, verified.mandate, verified.hops, verified.resolved.capability
    )


def judged_task(
    authority: AuthorityRegisters,
    caller: VerifiedCaller,
    mandate: Mandate,
    hops: tuple[Hop, ...],
    capability: Capability,
) -> Judged:
    """As `judged_now`, for any request of this caller for this capability under this mandate."""
    identity = caller.identity
    key = (
        mandate.id,
        caller.key,
        caller.certificate,
        identity.instance,
        identity.manifest,
        identity.measured,
        capability.name,
        hops[-1].digest.hex() if hops else "",
    )
    return _judged(
        authority, key, lambda: revocable_names(authority, caller, mandate, hops, capability), capability
    )


def judged_caller(
    authority: AuthorityRegisters, agent: AgentId, identity: CallerIdentity, *shown: str
) -> Judged:
    """As `judged_now`, before the request is known. `shown`: thumbprints of the proved key and certificate."""
    key = ("", agent, identity.instance, identity.manifest, identity.measured, identity.key, *shown)
    return _judged(
        authority, key, lambda: (*agent_names(authority, agent), *caller_names(identity, shown)), None
    )


def _judged(
    authority: AuthorityRegisters,
    key: tuple[str, ...],
    names_of: Callable[[], tuple[RevocationTarget, ...]],
    capability: Capability | None,
) -> Judged:
    # Read in this order: a later revocation belongs to another epoch and is looked up again.
    epoch, manifests, current = (
        authority.holds.epoch(),
        authority.manifests.changes(),
        authority.registry.current,
    )
    then = authority.judged_in
    if then is None or then[0] != epoch or then[1] != manifests or then[2] is not current:
        authority.judged_in, authority.judged = (epoch, manifests, current), {}
    judged = authority.judged.get(key)
    if judged is None:
        if len(authority.judged) >= JUDGED_MAX:
            authority.judged = {}
        judged = authority.judged[key] = judged_under(authority, names_of(), capability)
    return judged


def caller_names(identity: CallerIdentity, shown: Iterable[str]) -> tuple[RevocationTarget, ...]:
    """Return the names of a caller itself, whatever its agent is. `shown`: thumbprints of its key and certificate."""
    names = (
        *instance_names(identity.instance),
        *(RevocationTarget("key", one) for one in (*shown, identity.key)),
        *(RevocationTarget("manifest", one) for one in (identity.manifest, identity.measured)),
    )
    return tuple(dict.fromkeys(one for one in names if one.name))


def judged_under(
    authority: Ends, names: tuple[RevocationTarget, ...], capability: Capability | None
) -> Judged:
    """Return what is revoked or held of these names, nearest first, for a use of the capability.

    Raises Unavailable if that cannot be read.
    """
    reach = reach_of(names, authority.registry.current, capability=capability)
    return Judged(
        names=names,
        revocation=authority.revocations.find(names),
        reach=reach,
        holds=authority.holds.standing(reach),
    )


def present(authority: AuthorityRegisters, worlds: Worlds) -> tuple[Epoch, int, int, RegistrySnapshot]:
    """Return a value that changes whenever names or revocations may have changed."""
    # Read in this order: a later revocation belongs to another epoch and is looked up again.
    return worlds.epoch(), authority.holds.epoch(), authority.manifests.changes(), authority.registry.current


def refuse_names(authority: AuthorityRegisters, names: Collection[RevocationTarget]) -> None:
    """Raise Refused if one of these names was revoked (`revoked.<kind>`) or is held (`held.<kind>`), Unavailable if
    that cannot be read."""
    fault = names_fault(authority, names)
    if fault is not None:
        raise fault


def names_fault(authority: AuthorityRegisters, names: Collection[RevocationTarget]) -> Refused | None:
    """As `refuse_names`, but return the refusal. Raises Unavailable."""
    revocation = authority.revocations.find(names)
    if revocation is not None:
        return revocation.refusal()
    hold = authority.holds.find(reach_of(names, authority.registry.current), authority.clock.now())
    return hold.refusal() if hold is not None else None


def signer_fault(authority: AuthorityRegisters, person: str, key: str) -> Refused | None:
    """Return why this person's signature with this key is not valid now: `revoked.*`, `held.*`; None if it is valid.

    Only holds on the person and the key count: while an emergency stop holds everything, people must still be able to
    sign. Raises Unavailable.
    """
    revocation = authority.revocations.find((RevocationTarget("owner", person), RevocationTarget("key", key)))
    if revocation is not None:
        return revocation.refusal()
    hold = authority.holds.find((HoldTarget("owner", person), HoldTarget("key", key)), authority.clock.now())
    return hold.refusal() if hold is not None else None


def revocable_names(
    authority: InForce,
    caller: VerifiedCaller,
    mandate: Mandate,
    hops: tuple[Hop, ...],
    capability: Capability,
) -> tuple[RevocationTarget, ...]:
    """Return every name under which this caller uses the capability for this task, nearest first. Does no I/O."""
    names = (
        *task_names(authority, caller, mandate, hops),
        *capability_names(authority.registry.current, capability),
    )
    return tuple(dict.fromkeys(names))


def task_names(
    authority: InForce, caller: VerifiedCaller, mandate: Mandate, hops: tuple[Hop, ...]
) -> tuple[RevocationTarget, ...]:
    """Return the names that everything this caller does for this task acts under, nearest first. Does no I/O."""
    names = (
        *(name for hop in hops for name in names_of_hop(authority, hop)),
        *mandate_names(authority, mandate),
        *caller_names(caller.identity, (caller.key, caller.certificate)),
    )
    return tuple(dict.fromkeys(one for one in names if one.name))


def mandate_names(authority: InForce, mandate: Mandate) -> tuple[RevocationTarget, ...]:
    """Return the names that everything under a mandate acts under: the mandate, its giver and their key, the owner of
    the schedule or application that gave it, and its agent's names."""
    current = authority.registry.current
    application = current.applications.get(mandate.application)
    names = (
        RevocationTarget("mandate", mandate.id),
        *agent_names(authority, mandate.agent),
        *owner_names([mandate.principal, schedule_owner(mandate.principal, current)]),
        *owner_names([application.ownership.owner] if application is not None else []),
        RevocationTarget("key", signing_key_of(mandate.token)),
    )
    return tuple(dict.fromkeys(one for one in names if one.name))


def agent_names(authority: InForce, agent: AgentId) -> tuple[RevocationTarget, ...]:
    """Return the names everything an agent does acts under: the agent, its manifest and signer, owners, vendors."""
    current = authority.registry.current
    names: list[RevocationTarget] = [RevocationTarget("agent", agent)]
    signed = authority.manifests.current(agent)
    if signed is not None:
        names += [RevocationTarget("manifest", signed.digest), RevocationTarget("key", signed.key)]
        names += owner_names([signed.signed_by])
    found = current.agents.get(agent)
    if found is not None:
        names += owner_names([found.ownership.owner])
        names += vendor_names(found.vendors)
        use_case = current.use_cases.get(found.use_case)
        names += owner_names([use_case.ownership.owner]) if use_case is not None else ()
    return tuple(names)


def names_of_hop(authority: InForce, hop: Hop) -> tuple[RevocationTarget, ...]:
    """Return the names that everything through this hop acts under: the hop's own, and those of its agent now."""
    return tuple(
        dict.fromkeys(
            (*names_in_hop(hop), *agent_names(authority, AgentId(hop.agent)), *instance_names(hop.instance))
        )
    )


def names_in_hop(hop: Hop) -> tuple[RevocationTarget, ...]:
    """Return the names that a hop itself states, independent of the registry: the hop, its consent, agent, key,
    manifest and instance. An instance is named once, without the parents of a sub-agent."""
    domain = [one for one in instance_names(hop.instance) if one.kind == "trust_domain"]
    names = (
        *hop_names(jti=hop.jti, par_hash=hop.hash),
        RevocationTarget("hop", hop.consent.hash if hop.consent is not None else ""),
        RevocationTarget("agent", hop.agent),
        RevocationTarget("key", hop.confirmation.thumbprint),
        RevocationTarget("manifest", hop.manifest),
        RevocationTarget("agent", hop.instance if domain else ""),
        *domain,
    )
    return tuple(one for one in names if one.name)


def agents_under(authority: AuthorityRegisters, names: Set[RevocationTarget]) -> tuple[RevocationTarget, ...]:
    """Return the agents under one of these names in the current registry: by owner, vendor or manifest in force."""
    wanted = frozenset(one for one in names if one.kind in _OF_AGENTS)
    if not wanted:
        return ()
    agents = authority.registry.current.agents
    return tuple(
        RevocationTarget("agent", one) for one in agents if not wanted.isdisjoint(agent_names(authority, one))
    )


def capability_names(current: RegistrySnapshot, capability: Capability) -> Iterable[RevocationTarget]:
    """Return the names that a use of the capability acts under: its owner, and the vendor of its server."""
    server = current.servers.get(capability.server)
    yield from owner_names([capability.ownership.owner])
    yield from vendor_names([server.vendor] if server is not None else ())


def signing_key_of(token: str) -> str:
    """Return the thumbprint of the key that a statement, verified when it was accepted, names; empty for none."""
    return kid_of(token)
