"""Choose the terms of an action's credential (name, scope, lifetime) before the intent is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.name import NAME_BYTES, lease_name
from answerable.core.lease.scope import filled, scope_values
from answerable.core.ledger.warrant import BrokeredAction
from answerable.core.ledger.warrant_token import LeaseTerms
from answerable.core.registry.manifests.model_use import check_model
from answerable.errors.codes.leases import BROKER_NONE
from answerable.flows.validity.refuse_revoked import judged_now

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.lease.lease import Under
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.ports.entropy import Entropy

WINDOW_LEFT_MS_MIN: Final = 1_000
"""A task window with less time left is not used for another action."""


class ActionNames(NamedTuple):
    """Names chosen before the intent is written.

    `action`: id of this attempt, also its idempotency key. `brokered`: what the broker needs to know; None without a
    broker.
    """

    action: str
    brokered: BrokeredAction | None

    @property
    def lease(self) -> str:
        """Name of the lease; empty if there is none."""
        return self.brokered.terms.name if self.brokered is not None else ""

    @property
    def lease_target(self) -> str:
        """Target where the lease may be live; empty if there is none."""
        return self.brokered.terms.target if self.brokered is not None else ""


UNNAMED: Final = ActionNames("", None)


def name_action(
    authority: AuthorityRegisters,
    leases: LeaseSide | None,
    entropy: Entropy,
    verified: VerifiedRequest,
    *,
    at: UnixMillis,
) -> ActionNames:
    """Choose the names of one attempt. Raises as `brokered_action`."""
    action_id = entropy.bytes(NAME_BYTES).hex()
    return ActionNames(
        action_id, brokered_action(authority, leases, entropy, verified, at=at, action_id=action_id)
    )


def brokered_action(
    authority: AuthorityRegisters,
    leases: LeaseSide | None,
    entropy: Entropy,
    verified: VerifiedRequest,
    *,
    at: UnixMillis,
    action_id: str,
) -> BrokeredAction | None:
    """Return the terms of the credential for an action; None if the action needs no broker.

    Raises Unavailable (`broker.none`) if it needs one and none is set up, Refused (`lease.scope`, `model.*`).
    """
    capability = verified.resolved.capability
    server = authority.registry.current.servers.get(verified.request.server)
    if server is None or not server.target or capability.lease is None:
        return None
    side = leases
    if side is None:
        raise BROKER_NONE("no broker is configured, and this action needs a credential")
    side.is_used = True
    if capability.lease.model:
        signed = authority.manifests.current(verified.caller.agent)
        model = verified.arguments.get(capability.lease.model)
        check_model(signed.manifest if signed is not None else None, str(model))
    values = scope_values(
        capability.arguments,
        verified.arguments,
        resource=verified.resource_id,
        mandate=verified.mandate.id,
        agent=verified.caller.agent,
    )
    scope = filled(capability.lease.grants.thaw(), values)
    ends = side.lives.ends(
        capability.lease.window, ttl_seconds=capability.lease.ttl_seconds, tier=capability.tier, at=at
    )
    ends = UnixMillis(min(ends, verified.mandate.expires_at, *(hop.expires_at for hop in verified.hops)))
    terms = LeaseTerms(
        name=lease_name(bytes.fromhex(action_id)),
        target=server.target,
        window=capability.lease.window,
        scope=scope,
        expires_at=ends,
    )
    judged = judged_now(authority, verified)
    under = tuple(dict.fromkeys((str(kind), name) for kind, name in (*judged.reach, *judged.names)))
    if terms.window == "task":
        terms = _window(side, verified, terms, under, at, entropy)
    return BrokeredAction(
        broker=side.broker,
        terms=terms,
        mandate=verified.mandate.id,
        agent=verified.caller.agent,
        capability=capability.name,
        tier=capability.tier,
        under=under,
    )


def _window(
    side: LeaseSide,
    verified: VerifiedRequest,
    terms: LeaseTerms,
    under: tuple[Under, ...],
    at: UnixMillis,
    entropy: Entropy,
) -> LeaseTerms:
    """Return the terms of the open task window for this hop, mandate, capability and scope, or of a new window.

    Ending or holding one action of a window must end its credential, so all its actions must act under the same names.
    """
    hop = verified.hops[-1].hash if verified.hops else ""
    capability = verified.resolved.capability.name
    stands = (part for pair in under for part in pair)
    key = (
        verified.mandate.id,
        hop,
        verified.caller.agent,
        capability,
        terms.target,
        terms.scope.hex,
        *stands,
    )
    known = side.windows.get(key)
    name = (
        known.name
        if known is not None and known.expires_at - at >= WINDOW_LEFT_MS_MIN
        else lease_name(entropy.bytes(NAME_BYTES))
    )
    terms = LeaseTerms(
        name=name, target=terms.target, window="task", scope=terms.scope, expires_at=terms.expires_at
    )
    side.keep(key, terms)
    return terms
