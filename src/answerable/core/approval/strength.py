"""How strong a signature must be for a tier: anybody's key, a passkey, or one that cannot leave its device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from answerable.core.approval.action_object import object_in
from answerable.errors import Malformed, Refused

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.identity.passkey import Passkey

Strength = Literal["any", "passkey", "hardware"]
STRENGTHS: Final[tuple[Strength, ...]] = get_args(Strength)
ANY_FOR_ALL: Final[tuple[Strength, ...]] = ("any", "any", "any", "any")
_ASKS: Final = {
    "passkey": "a passkey: sign in to the console and answer there",
    "hardware": "a passkey on a security key whose maker vouches for it, and which cannot be copied",
}


class HasStrengths(Protocol):
    """signatures: what each tier asks for, from 0."""

    @property
    def signatures(self) -> tuple[Strength, ...]:
        """As above."""
        ...


def check_strength(limits: HasStrengths, approval: Approval, *, passkey: Passkey | None) -> None:
    """Whether an answer signed with this passkey, or with a key file where it is None, is strong enough for the tier.

    Saying no takes no more than saying yes: whoever was asked can do both. Raises Refused (`approval.weak_signature`).
    """
    asks = limits.signatures[tier_shown(approval)]
    held = "any" if passkey is None else "passkey"
    if passkey is not None and passkey.attested and not passkey.backup_eligible:
        held = "hardware"
    if STRENGTHS.index(held) < STRENGTHS.index(asks):
        raise Refused(f"an action of this tier asks for {_ASKS[asks]}", code="approval.weak_signature")


def tier_shown(approval: Approval) -> int:
    """Of what was shown; what cannot be read is of the highest."""
    try:
        effects = object_in(approval.shown)["effects"]
        tier = effects["tier"] if isinstance(effects, dict) else None
    except (Malformed, KeyError):
        tier = None
    return tier if isinstance(tier, int) and 0 <= tier < len(ANY_FOR_ALL) else len(ANY_FOR_ALL) - 1
