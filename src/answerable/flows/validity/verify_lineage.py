"""Verify what a caller acts under: its own mandate, or a chain of delegation hops that starts at a mandate.

Hops signed by the token service and hops signed by the delegating agent are treated alike.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import anyio.to_thread

from answerable.core.identity.names.principal import AgentId, PrincipalId
from answerable.core.ledger.leaves import HOP_ID_CHARS_MAX
from answerable.core.mandate.attenuation import narrower
from answerable.core.mandate.authority import authority_of
from answerable.core.mandate.delegation_lineage import DelegationLineage
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed, Refused, Unverified, shown
from answerable.errors.codes.mandate import (
    DELEGATION_AUDIENCE_MISMATCH_REFUSED,
    DELEGATION_DEPTH_INVALID_REFUSED,
    DELEGATION_HOLDER_BINDING_FAILED,
    DELEGATION_MALFORMED_REFUSED,
    DELEGATION_MISSION_ALTERED_REFUSED,
    DELEGATION_NOT_NARROWER_REFUSED,
    DELEGATION_PRINCIPAL_ALTERED_REFUSED,
    DELEGATION_RECEIVER,
    DELEGATION_REVOKED_REFUSED,
    DELEGATION_WIDTH,
    MANDATE_MISSING,
    MANDATE_OTHER_AGENT,
    MANDATE_UNKNOWN,
)
from answerable.flows.validity.mandate_validity import shard_elsewhere, still_stands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.delegation_chain import Chain, Hop
    from answerable.core.mandate.hop_token import Confirmation
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.delegations import KnownChain
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.flows.state.worlds import Verification
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.parts_in_force import CurrentRegistry, KnownMandates

ADMITTED_MAX: Final = 100_000
"""Pairs of giver and receiver known to be counted; when full, the cache is cleared and the register is asked again."""


class MandateSources(Protocol):
    """What mandates are read from: the registers as they are now, or a World."""

    @property
    def registry(self) -> CurrentRegistry:
        """The registry."""
        ...

    @property
    def mandates(self) -> KnownMandates:
        """The mandates."""
        ...


class Presented(NamedTuple):
    """What a caller presents to act under. `mandate_id`: as it names it, or empty. `chain`: the verified chain of hops,
    or why it does not verify; None for a mandate of its own. `issuer`: name of the token service, which hops must be
    issued for. `origin`: of our log."""

    mandate_id: str
    chain: KnownChain | Refused | None
    issuer: str
    origin: str


def presented(
    ledger: Ledger, verification: Verification, mandate_id: str, delegation: str, now: UnixMillis
) -> Presented:
    """Verify the chain, if there is one. Never raises: other faults of a request are told before those of its chain."""
    chain: KnownChain | Refused | None = None
    if delegation:
        try:
            chain = _known(verification, delegation, now)
        except Refused as fault:
            chain = fault
    return Presented(
        mandate_id, chain, verification.delegations.audience() if delegation else "", ledger.origin
    )


def verify_lineage(
    authority: MandateSources, caller: VerifiedCaller, by: Presented, *, server: str, anywhere: bool = False
) -> DelegationLineage:
    """Return the verified mandate and hops that this caller acts under.

    `server`: the server it wants to act on. `anywhere`: accept a mandate of another shard, whose validity that shard
    checks.

    Raises Refused: `mandate.*` as for a mandate of its own, and `delegation.*` for a chain that does not verify, whose
    last hop is another's, that is for another server, or that exceeds what its mandate may be handed on to. The number
    of receivers is checked by `admit_receivers`, which waits.
    """
    known, current, mandate_id = by.chain, authority.registry.current, by.mandate_id
    if known is None:
        return DelegationLineage(mandate=_own_mandate(authority, caller, mandate_id, origin=by.origin))
    if isinstance(known, Refused):
        raise known
    # Check the holder at every call: the cached result below is about the chain alone.
    _check_holder(known.chain.leaf, caller)
    delegation_lineage = known.delegation_lineage(current, mandate_id, server)
    if delegation_lineage is None:
        chain = known.chain
        _check_recordable(chain)
        mandate = chain_mandate(authority, chain, mandate_id, origin=by.origin, anywhere=anywhere)
        _check_resource(chain, by.issuer, server)
        delegation_lineage = DelegationLineage(mandate=mandate, hops=chain.hops)
        # A mandate's terms never change, and everything else was checked in this registry. List requests cache nothing.
        if not anywhere:
            known.keep(delegation_lineage, current, mandate_id, server)
    return delegation_lineage


def verified_claim(verification: Verification, delegation: str, now: UnixMillis) -> Chain:
    """Return the verified chain. Raises Refused, which can be recorded because the caller has proved who it is."""
    return _known(verification, delegation, now).chain


def _known(verification: Verification, delegation: str, now: UnixMillis) -> KnownChain:
    try:
        return verification.delegations.known(delegation, now)
    except (Malformed, Unverified) as fault:
        raise Refused(f"the delegation chain is invalid: {fault.message}", code=fault.code) from None


def chain_mandate(
    authority: MandateSources, chain: Chain, mandate_id: str = "", *, origin: str, anywhere: bool = False
) -> Mandate:
    """Return the mandate that a verified chain starts at, checked to be valid and to allow the chain.

    `mandate_id`: as the caller names it, or empty. `origin`: of our log. `anywhere`: as for `verify_lineage`. Raises
    Refused (`mandate.*`, `delegation.*`).
    """
    root = chain.root
    named = root.mission.id if root.mission is not None else ""
    if mandate_id and mandate_id != named:
        raise DELEGATION_MISSION_ALTERED_REFUSED()
    mandate = authority.mandates.find(MandateId(named))
    if mandate is None:
        raise MANDATE_UNKNOWN(f"mandate {shown(named)} is not known")
    if (mandate.principal, mandate.agent) != (root.principal, root.agent):
        raise DELEGATION_PRINCIPAL_ALTERED_REFUSED()
    if not anywhere or shard_elsewhere(mandate, origin) is None:
        still_stands(mandate, authority.registry.current, origin=origin)
    try:
        wider = narrower(root.authority, authority_of(mandate))
    except Malformed as fault:
        raise Refused(fault.message, code=fault.code) from None
    if wider is not None:
        raise DELEGATION_NOT_NARROWER_REFUSED(f"the first hop exceeds the mandate, its parent: it {wider}")
    _check_handing_on(chain, mandate, authority.registry.current)
    return mandate


def _own_mandate(
    authority: MandateSources, caller: VerifiedCaller, mandate_id: str, *, origin: str
) -> Mandate:
    if not mandate_id:
        raise MANDATE_MISSING()
    mandate = authority.mandates.find(MandateId(mandate_id))
    if mandate is None or mandate.agent != caller.agent:
        # Same wording for both cases, so that an agent cannot probe for other agents' mandates.
        code = MANDATE_UNKNOWN if mandate is None else MANDATE_OTHER_AGENT
        raise code(f"mandate {shown(mandate_id)} is not known, and the request has no delegation chain")
    still_stands(mandate, authority.registry.current, origin=origin)
    return mandate


def _check_recordable(chain: Chain) -> None:
    """Check that the hops fit into an intent: an agent chooses the `jti` of a hop it signs."""
    if any(len(hop.jti) > HOP_ID_CHARS_MAX for hop in chain.hops):
        raise DELEGATION_MALFORMED_REFUSED(f"a `jti` has at most {HOP_ID_CHARS_MAX} characters")
    for hop in chain.hops:
        if hop.consent is not None and not hop.consent.leaf:
            raise DELEGATION_MALFORMED_REFUSED(
                f"hop {hop.depth} was issued for a consent that is recorded in no log: request a new token"
            )


async def admit_receivers(authority: AuthorityRegisters, mandate: Mandate, hops: Sequence[Hop]) -> bool:
    """Count every receiver of this chain in the mandate's register, before any of them acts.

    Returns whether this waited, so that earlier checks must be repeated. Raises as `check_width`.
    """
    agents = tuple(hop.agent for hop in hops)
    known = authority.admitted
    if all((mandate.id, *pair) in known for pair in pairwise(agents)):
        return False
    # The register writes to disk; do not block the event loop.
    await anyio.to_thread.run_sync(check_width, authority.mandates, mandate, agents)
    if len(known) >= ADMITTED_MAX:
        known.clear()
    known.update((mandate.id, *pair) for pair in pairwise(agents))
    return True


def check_width(mandates: MandateRegister, mandate: Mandate, agents: Sequence[str]) -> None:
    """Check that each agent is one of at most `width_max` receivers of the agent before it. Handing on to itself is
    free.

    Raises Refused (`delegation.width`), Unavailable (`register.*`).
    """
    width_max = mandate.delegability.width_max
    for giver, receiver in pairwise(agents):
        if giver != receiver and not mandates.admit(
            mandate.id, AgentId(giver), AgentId(receiver), width_max=width_max
        ):
            raise DELEGATION_WIDTH(
                f"an agent may delegate this mandate to at most {width_max} agents, which agent "
                f"{shown(giver)} has done"
            )


def _check_holder(leaf: Hop, caller: VerifiedCaller) -> None:
    """Check that the caller holds the last hop: a chain is not secret, so a copy of it must be useless."""
    if not is_held_by(leaf, caller):
        raise DELEGATION_HOLDER_BINDING_FAILED(
            f"the last hop is for agent {shown(leaf.agent, 60)}, and this caller is not that agent or "
            "did not prove the hop's key"
        )


def is_held_by(leaf: Hop, caller: VerifiedCaller) -> bool:
    """Whether a hop is bound to this caller's agent and proof."""
    return leaf.agent == caller.agent and holds(caller, leaf.confirmation)


def holds(caller: VerifiedCaller, confirmation: Confirmation) -> bool:
    """Whether the caller proved possession of what a hop's `cnf` names."""
    match confirmation.method:
        case "jkt":
            return caller.holds(key=confirmation.thumbprint)
        case "x5t#S256":
            return caller.holds(certificate=confirmation.thumbprint)
    return caller.holds(process=confirmation.thumbprint)


def _check_resource(chain: Chain, issuer: str, server: str) -> None:
    """Check that every hop is for the whole deployment or for this server."""
    for hop in chain.hops:
        if issuer not in hop.audiences and f"{issuer}/mcp/{server}" not in hop.audiences:
            raise DELEGATION_AUDIENCE_MISMATCH_REFUSED(
                f"audience of hop {hop.depth} is {shown(', '.join(hop.audiences), 120)}, which does not "
                f"include server {shown(server)}"
            )


def _check_handing_on(chain: Chain, mandate: Mandate, current: RegistrySnapshot) -> None:
    """Check depth and receivers by the current registry: an inactive agent blocks everything below it."""
    allowed = mandate.delegability
    below = len(chain.hops) - 1
    if below > allowed.depth_max:
        raise DELEGATION_DEPTH_INVALID_REFUSED(
            f"the mandate may be delegated to depth {allowed.depth_max}, and this is hop {below}"
        )
    for hop in chain.hops:
        agent = current.agents.get(AgentId(hop.agent))
        if agent is None or agent.status != "active":
            raise DELEGATION_REVOKED_REFUSED(f"agent {shown(hop.agent)} of hop {hop.depth} is not active")
        owner = current.principals.get(PrincipalId(agent.ownership.owner))
        groups = owner.groups if owner is not None else ()
        if hop.depth and not allowed.receives(agent=agent.name, use_case=agent.use_case, owner_groups=groups):
            raise DELEGATION_RECEIVER(f"the mandate may not be delegated to agent {shown(hop.agent)}")
