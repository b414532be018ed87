"""Limit how long and how often a token may be used for actions, by the tier of the target.

A token made for handing on lives long, so that the chains below it can. Acting with it is limited further, since an
attacker who has the key also has the token: the riskier the action, the shorter the time and the fewer the uses.

Laws: no setting raises a maximum past those in `acting_seconds`; what is unknown counts as the highest tier; a token's
age counts from the start of its validity, whatever its `exp` says and whoever signed it; the tier is evaluated at the
action, not when the token was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.mandate.acting_seconds import ACTING_SECONDS_MAX, Seconds
from answerable.core.mandate.budget import Account
from answerable.core.mandate.delegation_lineage import ACCOUNT, hop_name
from answerable.core.mandate.scope import covers
from answerable.core.registry.documents.budget_name import CALLS
from answerable.errors.codes.mandate import DELEGATION_TOO_OLD
from answerable.errors.codes.tokens import TOKEN_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.registry.documents.capability import Capability


TIER_MAX: Final = 3
SINGLE_USE_TIER: Final = 3
"""From this tier on a token permits one action."""

_OWN_USE: Final = "use"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingLimits:
    """Limits on acting. seconds: by tier, how long a token may act; never more than `ACTING_SECONDS_MAX`."""

    seconds: Seconds = ACTING_SECONDS_MAX

    def __post_init__(self) -> None:
        """Check the limits. Raises Malformed (`token.limits`)."""
        if any(not 1 <= one <= most for one, most in zip(self.seconds, ACTING_SECONDS_MAX, strict=True)):
            most = ", ".join(map(str, ACTING_SECONDS_MAX))
            raise TOKEN_LIMITS(
                f"access tokens are valid for at most {most} seconds by tier 0 to {TIER_MAX}: settings "
                "may only lower these"
            )

    def of_tier(self, tier: int) -> int:
        """Return the seconds for a tier; an unknown tier counts as the highest."""
        return self.seconds[tier] if 0 <= tier <= TIER_MAX else self.seconds[TIER_MAX]


def tier_of(
    authority: Authority, capabilities: Mapping[str, Capability], *, tier: Callable[[Capability], int]
) -> int:
    """Return the highest tier of any capability that the authority covers.

    capabilities: all registered capabilities, by name. tier: the tier at which an action of a capability is decided. An
    unregistered name counts as the highest tier, and so does a wildcard that covers nothing.
    """
    return max(_tier(scope, capabilities, tier) for scope in authority.scopes)


def _tier(scope: str, capabilities: Mapping[str, Capability], tier: Callable[[Capability], int]) -> int:
    if scope in capabilities:
        return tier(capabilities[scope])
    covered = [one for name, one in capabilities.items() if covers(scope, name)]
    if not covered or any(one.tier >= TIER_MAX for one in covered):
        return TIER_MAX
    return max(tier(one) for one in covered)


def check_age(hops: tuple[Hop, ...], *, tier: int, limits: ActingLimits, now: UnixMillis) -> None:
    """Check that the last hop is young enough to act on this tier. Raises Refused (`delegation.too_old`)."""
    if not hops:
        return
    leaf = hops[-1]
    seconds = limits.of_tier(tier)
    age = now - leaf.not_before
    if age >= seconds * 1000:
        raise DELEGATION_TOO_OLD(
            f"{hop_name(hops, leaf)} is {age // 1000} s old, and may be used for {seconds} s on tier "
            f"{tier}: exchange it for an access token"
        )


def own_use(hops: tuple[Hop, ...], *, tier: int) -> tuple[Account, ...]:
    """Return the account that counts the single action of the last hop; empty if the tier allows more than one.

    This account is separate from the hop's account, which includes all hops below: receivers of a delegated part do not
    use up the delegator's own action.
    """
    if not hops or tier < SINGLE_USE_TIER:
        return ()
    leaf = hops[-1]
    return (Account(id=f"{_OWN_USE}-{ACCOUNT}{leaf.hash}", limits={CALLS: 1}, whose=hop_name(hops, leaf)),)
