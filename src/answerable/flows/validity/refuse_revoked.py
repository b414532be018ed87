"""Whether anything that a request acts under has been revoked, or stands still: asked before the decision and right
before the effect, with one look at both.

Laws: everybody and everything that a right to act comes from is among the names; what was found out holds for one epoch
of the registers, one registry and the manifests that are in force, and never longer; of holds it is which stand, and
the clock says at each question which of these are in force.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from answerable.core.containment.hold import HoldTarget
from answerable.core.containment.reach import Judged, reach_of
from answerable.core.identity.keys.compact_jws import read_compact
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.revocation import (
    RevocationTarget,
    hop_names,
    instance_names,
    owner_names,
    vendor_names,
)
from answerable.errors import Malformed
from answerable.errors.codes.identity import STATEMENT_MALFORMED
from answerable.flows.validity.mandate_validity import schedule_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Set

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.containment.hold import Hold
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.mandate.revocation import Revocation
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.errors import Refused
    from answerable.flows.state.walk import Walk
    from answerable.ports.worlds import Epoch

JUDGED_MAX: Final = 10_000
"""Callers and mandates of which it is kept in memory under which names they act."""

_OF_AGENTS: Final = frozenset({"key", "manifest", "owner", "vendor"})
"""Kinds of names that agents come under by the registry and their manifests, and not by what they are called."""


class CurrentRegistry(Protocol):
    """One registry."""

    @property
    def current(self) -> RegistrySnapshot:
        """Everything that is active in it."""
        ...


class CurrentManifests(Protocol):
    """Manifests in force."""

    def current(self, agent: AgentId) -> SignedManifest | None:
        """The one of an agent, or None."""
        ...


class Revoked(Protocol):
    """What was ended for good."""

    def find(self, names: Collection[RevocationTarget]) -> Revocation | None:
        """The first revocation of any of these names, in the order of the names."""
        ...


class Held(Protocol):
    """What stands still."""

    def standing(self, names: Collection[HoldTarget]) -> tuple[Hold, ...]:
        """The holds on these names that are not lifted, run out or not."""
        ...


class InForce(Protocol):
    """What names follow from: of the walk as it is, or of an earlier moment as a ledger tells it."""

    @property
    def registry(self) -> CurrentRegistry:
        """Documents."""
        ...

    @property
    def manifests(self) -> CurrentManifests:
        """Of agents."""
        ...


class Ends(InForce, Protocol):
    """The same, and what was ended or held of it."""

    @property
    def revocations(self) -> Revoked:
        """For good."""
        ...

    @property
    def holds(self) -> Held:
        """For a while."""
        ...


def judged_now(walk: Walk, verified: VerifiedRequest) -> Judged:
    """What this request acts under, and what of that has been revoked or stands still, by whatever process.

    Without I/O while nothing was. Raises Unavailable when that cannot be said.
    """
    return judged_task(walk, verified.caller, verified.mandate, verified.hops, verified.resolved.capability)


def judged_task(
    walk: Walk, caller: VerifiedCaller, mandate: Mandate, hops: tuple[Hop, ...], capability: Capability
) -> Judged:
    """As `judged_now`, of whatever this caller asks of the capability for this task."""
    identity = caller.identity
    key = (
        mandate.id, caller.key, caller.certificate, identity.instance, identity.manifest, identity.measured,
        capability.name, hops[-1].digest.hex() if hops else "",
    )  # fmt: skip
    return _judged(walk, key, lambda: revocable_names(walk, caller, mandate, hops, capability), capability)


def judged_caller(walk: Walk, agent: AgentId, identity: CallerIdentity, *shown: str) -> Judged:
    """As `judged_now`, of a caller of whom it is not known yet what it asks for. shown: thumbprints of the key and the
    certificate that it proved."""
    key = ("", agent, identity.instance, identity.manifest, identity.measured, identity.key, *shown)
    return _judged(walk, key, lambda: (*agent_names(walk, agent), *caller_names(identity, shown)), None)


def _judged(
    walk: Walk,
    key: tuple[str, ...],
    names_of: Callable[[], tuple[RevocationTarget, ...]],
    capability: Capability | None,
) -> Judged:
    # In this order: what is revoked after this line is another epoch, and asked for anew.
    epoch, manifests, current = walk.holds.epoch(), walk.manifests.changes(), walk.registry.current
    then = walk.judged_in
    if then is None or then[0] != epoch or then[1] != manifests or then[2] is not current:
        walk.judged_in, walk.judged = (epoch, manifests, current), {}
    judged = walk.judged.get(key)
    if judged is None:
        if len(walk.judged) >= JUDGED_MAX:
            walk.judged = {}
        judged = walk.judged[key] = judged_under(walk, names_of(), capability)
    return judged


def caller_names(identity: CallerIdentity, shown: Iterable[str]) -> tuple[RevocationTarget, ...]:
    """The names that a caller has of its own, whoever its agent is. shown: thumbprints of key and certificate."""
    names = (
        *instance_names(identity.instance),
        *(RevocationTarget("key", one) for one in (*shown, identity.key)),
        *(RevocationTarget("manifest", one) for one in (identity.manifest, identity.measured)),
    )
    return tuple(dict.fromkeys(one for one in names if one.name))


def judged_under(ends: Ends, names: tuple[RevocationTarget, ...], capability: Capability | None) -> Judged:
    """What of these names, the nearest first, has been revoked or stands still for who would use a capability under
    them. Raises Unavailable when that cannot be said."""
    reach = reach_of(names, ends.registry.current, capability=capability)
    return Judged(
        names=names, revocation=ends.revocations.find(names), reach=reach, holds=ends.holds.standing(reach)
    )


def present(walk: Walk) -> tuple[Epoch, int, int, RegistrySnapshot]:
    """What names follow from, and what of them was revoked: as long as this is the same, so is the answer."""
    # In this order: what is revoked after this line is another epoch, and asked for anew.
    return walk.worlds.epoch(), walk.holds.epoch(), walk.manifests.changes(), walk.registry.current


def refuse_names(walk: Walk, names: Collection[RevocationTarget]) -> None:
    """Raises Refused when what acts under one of these names was revoked (`revoked.<kind>`) or stands still
    (`held.<kind>`), Unavailable when nobody can say."""
    fault = names_fault(walk, names)
    if fault is not None:
        raise fault


def names_fault(walk: Walk, names: Collection[RevocationTarget]) -> Refused | None:
    """As `refuse_names`, returned. Raises Unavailable."""
    revocation = walk.revocations.find(names)
    if revocation is not None:
        return revocation.refusal()
    hold = walk.holds.find(reach_of(names, walk.registry.current), walk.clock.now())
    return hold.refusal() if hold is not None else None


def signer_fault(walk: Walk, person: str, key: str) -> Refused | None:
    """Why what this person signed with this key does not count now: `revoked.*`, `held.*`; None if it does.

    Only holds on the person and the key: while everything stands still, people are who looks at it. Raises Unavailable.
    """
    revocation = walk.revocations.find((RevocationTarget("owner", person), RevocationTarget("key", key)))
    if revocation is not None:
        return revocation.refusal()
    hold = walk.holds.find((HoldTarget("owner", person), HoldTarget("key", key)), walk.clock.now())
    return hold.refusal() if hold is not None else None


def revocable_names(
    walk: Walk, caller: VerifiedCaller, mandate: Mandate, hops: tuple[Hop, ...], capability: Capability
) -> tuple[RevocationTarget, ...]:
    """Every name that whatever this caller asks of the capability for this task is under, the nearest first. Without
    I/O."""
    names = (
        *task_names(walk, caller, mandate, hops),
        *capability_names(walk.registry.current, capability),
    )
    return tuple(dict.fromkeys(names))


def task_names(
    walk: Walk, caller: VerifiedCaller, mandate: Mandate, hops: tuple[Hop, ...]
) -> tuple[RevocationTarget, ...]:
    """The names that whatever this caller does for this task is under, the nearest first. Without I/O."""
    names = (
        *(name for hop in hops for name in names_of_hop(walk, hop)),
        *mandate_names(walk, mandate),
        *caller_names(caller.identity, (caller.key, caller.certificate)),
    )
    return tuple(dict.fromkeys(one for one in names if one.name))


def mandate_names(walk: InForce, mandate: Mandate) -> tuple[RevocationTarget, ...]:
    """The names that everything under a mandate acts under: itself, who gave it with which key, who answers for the
    schedule or the application that did, and its agent's."""
    current = walk.registry.current
    application = current.applications.get(mandate.application)
    names = (
        RevocationTarget("mandate", mandate.id),
        *agent_names(walk, mandate.agent),
        *owner_names([mandate.principal, schedule_owner(mandate.principal, current)]),
        *owner_names([application.ownership.owner] if application is not None else []),
        RevocationTarget("key", signing_key_of(mandate.token)),
    )
    return tuple(dict.fromkeys(one for one in names if one.name))


def agent_names(walk: InForce, agent: AgentId) -> tuple[RevocationTarget, ...]:
    """The names that everything an agent does is under: itself, its manifest with who signed it, owners, vendors."""
    current = walk.registry.current
    names: list[RevocationTarget] = [RevocationTarget("agent", agent)]
    signed = walk.manifests.current(agent)
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


def names_of_hop(walk: Walk, hop: Hop) -> tuple[RevocationTarget, ...]:
    """The names that whatever comes by this hop acts under: what it says, and who answers for its agent today."""
    return tuple(
        dict.fromkeys(
            (*names_in_hop(hop), *agent_names(walk, AgentId(hop.agent)), *instance_names(hop.instance))
        )
    )


def names_in_hop(hop: Hop) -> tuple[RevocationTarget, ...]:
    """The names that a hop says itself, whatever becomes of the registry: itself, what it was exchanged for, its agent,
    its key, what it was issued to. An instance is named once, and not with those that it is a sub-agent of."""
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


def agents_under(walk: Walk, names: Set[RevocationTarget]) -> tuple[RevocationTarget, ...]:
    """Agents that act under one of these names by today's registry: by who answers for them, who supplies what they are
    made of, and which manifest, by whose signature, is in force."""
    wanted = frozenset(one for one in names if one.kind in _OF_AGENTS)
    if not wanted:
        return ()
    agents = walk.registry.current.agents
    return tuple(
        RevocationTarget("agent", one) for one in agents if not wanted.isdisjoint(agent_names(walk, one))
    )


def capability_names(current: RegistrySnapshot, capability: Capability) -> Iterable[RevocationTarget]:
    """The names that whoever uses a capability acts under: who answers for it, who supplies its server."""
    server = current.servers.get(capability.server)
    yield from owner_names([capability.ownership.owner])
    yield from vendor_names([server.vendor] if server is not None else ())


def signing_key_of(token: str) -> str:
    """Thumbprint of the key that a statement, verified when it was taken in, names as its own; empty for none."""
    try:
        return read_compact(token, malformed=STATEMENT_MALFORMED).header.get("kid", "")
    except Malformed:
        return ""
