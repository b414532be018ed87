"""For whom and through whom: a mandate and the hops below it, as one thing that every step of the walk looks at.

Laws: effective authority is that of the mandate and of every hop at once, asked anew at each action; the first that
says no is named; without hops it is the mandate's own agent that acts for the person.
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
"""What the ids of hops' accounts begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationLineage:
    """hops: root first; the last one's holder acts."""

    mandate: Mandate
    hops: tuple[Hop, ...] = ()

    @property
    def depth(self) -> int:
        """How often it was handed on."""
        return max(0, len(self.hops) - 1)


def hops_shortfall(hops: tuple[Hop, ...], attempt: Attempt) -> Shortfall | None:
    """None when every hop permits the attempt; otherwise the first that does not, named. Sums are left to accounts."""
    for hop in hops:
        why = failure(hop.authority, attempt, reserved=limits_of(hop.authority).keys())
        if why is not None:
            return Shortfall(code=why.code, text=f"{hop_name(hops, hop)} {why.text}")
    return None


def hop_name(hops: tuple[Hop, ...], hop: Hop) -> str:
    """Which part of a chain says no, for people."""
    if not hop.depth:
        return f"what agent {shown(hop.agent, 60)} was given for this task"
    giver = hops[hop.depth - 1].agent
    return f"what {shown(giver, 60)} handed on to {shown(hop.agent, 60)} (hop {hop.depth} of {len(hops) - 1})"


def hop_accounts(hops: tuple[Hop, ...]) -> tuple[Account, ...]:
    """Where an action is counted beside its mandate: in every hop, so that what is split over calls and over children
    adds up. A hop that is good for one action has one call in all, its own and those of whoever it was handed on to.

    Accounts go by the hash that a hop's children name it by. Its `jti` is the choice of whoever signed it, who could
    name the account of somebody else and empty it; and one hop with two spellings of its signature is one account.
    A hop that was exchanged for a consent is counted in that one's account, too, which all share that came of it.
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
    """By sum, what may be spent by a hop and all below it."""
    return spendable(hop.authority, single_use=hop.single_use)


def spendable(authority: Authority, *, single_use: bool) -> Mapping[str, int]:
    """By sum, what may be spent by a hop of this authority. single_use: it is good for one action."""
    limits = limits_of(authority)
    return {**limits, CALLS: min(1, limits.get(CALLS, 1))} if single_use else limits
