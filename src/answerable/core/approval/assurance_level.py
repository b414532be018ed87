"""How strong an answer must be for a tier: a click, anybody's key, a passkey, or one that cannot leave its device.

Law: a click signs nothing, so it never counts for the highest tier, whatever is set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from answerable.core.approval.action_object import object_in
from answerable.errors import Malformed
from answerable.errors.codes.approval import APPROVAL_WEAK_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.approval.approval import Approval
    from answerable.core.identity.people.passkey import Passkey

AssuranceLevel = Literal["chat", "any", "passkey", "hardware"]
STRENGTHS: Final[tuple[AssuranceLevel, ...]] = get_args(AssuranceLevel)
CHAT: Final = "chat"
SIGNATURES: Final[tuple[AssuranceLevel, ...]] = tuple(one for one in STRENGTHS if one != CHAT)
ANY_FOR_ALL: Final[tuple[AssuranceLevel, ...]] = ("any", "any", "any", "any")
CRITICAL: Final = len(ANY_FOR_ALL) - 1
"""The highest tier."""
_ASKS: Final = {
    "chat": "a signature, which a click is not: answer at our page or in the terminal",
    "any": "a signature, which a click is not: answer at our page or in the terminal",
    "passkey": "a passkey: sign in to the console and sign there",
    "hardware": "a passkey on a security key whose maker vouches for it, and which cannot be copied: sign in to the "
    "console and sign there with one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWith:
    """What is known beside the registry. passkeys: the strongest that each person has; where nobody knows, as for
    documents alone, there are none. signatures: what each tier asks for, from 0."""

    passkeys: Mapping[str, AssuranceLevel] = field(default_factory=dict)
    signatures: tuple[AssuranceLevel, ...] = ANY_FOR_ALL


NOTHING_KNOWN: Final = SignedWith()


class HasStrengths(Protocol):
    """signatures: what each tier asks for, from 0."""

    @property
    def signatures(self) -> tuple[AssuranceLevel, ...]:
        """As above."""
        ...


def check_strength(
    limits: HasStrengths, approval: Approval, *, passkey: Passkey | None, page: str = ""
) -> None:
    """Whether what is signed with this passkey, or with a key file where it is None, is strong enough for the tier: an
    answer, or the review of one. page: address at which it can be signed with a stronger one, where there is one.

    Saying no takes no more than saying yes: whoever was asked can do both. Raises Refused (`approval.weak_signature`).
    """
    if not is_strong_enough(limits, approval, strength_of(passkey)):
        at = f", at {page}" if page else ""
        raise APPROVAL_WEAK_SIGNATURE(
            f"an action of this tier asks for {_ASKS[asked_strength(limits, approval)]}{at}"
        )


def is_strong_enough(limits: HasStrengths, approval: Approval, strength: AssuranceLevel) -> bool:
    """Whether an answer of this strength counts for the tier that was shown."""
    tier = tier_shown(approval)
    return takes_strength(limits, tier, strength)


def takes_strength(limits: HasStrengths, tier: int, strength: AssuranceLevel) -> bool:
    """Whether an answer of this strength counts for a tier; never a click for the highest, nor for one that there is
    not."""
    if strength == CHAT and not 0 <= tier < CRITICAL:
        return False
    return STRENGTHS.index(strength) >= STRENGTHS.index(limits.signatures[tier])


def asked_strength(limits: HasStrengths, approval: Approval) -> AssuranceLevel:
    """What the tier that was shown asks for."""
    return limits.signatures[tier_shown(approval)]


def strength_of(passkey: Passkey | None) -> AssuranceLevel:
    """What a signature with this passkey is worth, or with a key file where it is None."""
    if passkey is None:
        return "any"
    return held_strength(attested=passkey.attested, backup_eligible=passkey.backup_eligible)


def held_strength(*, attested: bool, backup_eligible: bool) -> AssuranceLevel:
    """How strong a passkey is."""
    return "hardware" if attested and not backup_eligible else "passkey"


def stronger(one: AssuranceLevel, other: AssuranceLevel) -> AssuranceLevel:
    """The stronger of two."""
    return max(one, other, key=STRENGTHS.index)


def tier_shown(approval: Approval) -> int:
    """Of what was shown; what cannot be read is of the highest."""
    try:
        effects = object_in(approval.shown)["effects"]
        tier = effects["tier"] if isinstance(effects, dict) else None
    except (Malformed, KeyError):
        tier = None
    return tier if isinstance(tier, int) and 0 <= tier < len(ANY_FOR_ALL) else len(ANY_FOR_ALL) - 1
