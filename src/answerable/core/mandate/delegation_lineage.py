"""Lineage of an action: a mandate and the hops below it, as one value that every step of the action walk checks.

Laws: the effective authority is the intersection of the mandate and every hop, evaluated anew at each action; a refusal
names the first hop that refuses; without hops the mandate's own agent acts for the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.mandate.authority import failure, limits_of
from answerable.core.mandate.budget import Account
from answerable.core.mandate.mandate import Shortfall
from answerable.core.registry.documents.budget_name import CALLS
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.caveat import Attempt
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate

ACCOUNT: Final = "hop:"
"""Prefix of the account ids of hops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationLineage:
    """A mandate and its hops. hops: root first; the holder of the last hop acts."""

    mandate: Mandate
    hops: tuple[Hop, ...] = ()

    @property
    def depth(self) -> int:
        """How many times the mandate was handed on."""
        return max(0, len(self.hops) - 1)


def hops_shortfall(hops: tuple[Hop, ...], attempt: Attempt) -> Shortfall | None:
    """Return why the first refusing hop does not permit the attempt, with that hop named; None if every hop permits it.
    Sums are left to the accounts."""
    for hop in hops:
        why = failure(hop.authority, attempt, reserved=limits_of(hop.authority).keys())
        if why is not None:
            return Shortfall(code=why.code, text=f"{hop_name(hops, hop)} {why.text}")
    return None


def hop_name(hops: tuple[Hop, ...], hop: Hop) -> str:
    """Return the human-readable name of the part of a chain that refuses."""
    if not hop.depth:
        return f"the task of agent {shown(hop.agent, 60)}"
    giver = hops[hop.depth - 1].agent
    return (
        f"the delegation from {shown(giver, 60)} to {shown(hop.agent, 60)} (hop {hop.depth} of "
        f"{len(hops) - 1})"
    )


def hop_accounts(hops: tuple[Hop, ...]) -> tuple[Account, ...]:
    """Return the accounts of the hops, in which an action is counted beside its mandate, so that splitting work over
    calls and children still adds up. A single-use hop has one call in all, shared with every hop below it.

    Account ids use the hash by which a hop's children name it. The `jti` is chosen by the signer, who could name and
    empty another hop's account; with the hash, two spellings of one hop's signature are still one account. A hop that
    was exchanged for a consent also counts in the consent's account, which all hops made from that consent share.
    """
    own = [
        Account(id=f"{ACCOUNT}{hop.hash}", limits=hop_limits(hop), whose=hop_name(hops, hop)) for hop in hops
    ]
    consents = [
        Account(id=f"{ACCOUNT}{hop.consent.hash}", limits=hop.consent.limits, whose=hop_name(hops, hop))
        for hop in hops
        if hop.consent is not None
    ]
    return (*own, *consents)


def hop_limits(hop: Hop) -> Mapping[str, int]:
    """Return how much a hop and all hops below it may spend, by name of the sum."""
    return spendable(hop.authority, single_use=hop.single_use)


def spendable(authority: Authority, *, single_use: bool) -> Mapping[str, int]:
    """Return how much a hop of this authority may spend, by name of the sum. single_use: the hop permits one action."""
    limits = limits_of(authority)
    return {**limits, CALLS: min(1, limits.get(CALLS, 1))} if single_use else limits
