"""Assurance levels of answers, and the one each tier requires: a click, any key, a passkey, or a hardware-bound
passkey.

Law: a click signs nothing, so it never counts for the highest tier, whatever the settings.
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
    "hardware": (
        "a passkey on a security key that is attested by its maker and cannot be copied: sign in "
        "to the console and sign there with one"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWith:
    """Assurance data beside the registry. passkeys: the strongest level that each person holds; empty where unknown, as
    for documents alone. signatures: the level that each tier requires, from tier 0."""

    passkeys: Mapping[str, AssuranceLevel] = field(default_factory=dict)
    signatures: tuple[AssuranceLevel, ...] = ANY_FOR_ALL


NOTHING_KNOWN: Final = SignedWith()


class HasStrengths(Protocol):
    """Settings with the assurance levels that tiers require. signatures: the level that each tier requires, from tier
    0."""

    @property
    def signatures(self) -> tuple[AssuranceLevel, ...]:
        """See the class."""
        ...


def check_strength(
    limits: HasStrengths, approval: Approval, *, passkey: Passkey | None, page: str = ""
) -> None:
    """Check that a signature with this passkey, or with a key file where it is None, is strong enough for the tier: of
    an answer, or of a review. page: address at which a stronger one can be given, if there is one.

    A denial needs no less than an approval: whoever was asked can give both. Raises Refused
    (`approval.weak_signature`).
    """
    if not is_strong_enough(limits, approval, strength_of(passkey)):
        at = f", at {page}" if page else ""
        raise APPROVAL_WEAK_SIGNATURE(
            f"an action of this tier requires {_ASKS[asked_strength(limits, approval)]}{at}"
        )


def is_strong_enough(limits: HasStrengths, approval: Approval, strength: AssuranceLevel) -> bool:
    """Whether an answer of this strength counts for the tier that was shown."""
    tier = tier_shown(approval)
    return takes_strength(limits, tier, strength)


def takes_strength(limits: HasStrengths, tier: int, strength: AssuranceLevel) -> bool:
    """Whether an answer of this strength counts for a tier; never a click for the highest tier, nor
    for an unknown one."""
    if strength == CHAT and not 0 <= tier < CRITICAL:
        return False
    return STRENGTHS.index(strength) >= STRENGTHS.index(limits.signatures[tier])


def asked_strength(limits: HasStrengths, approval: Approval) -> AssuranceLevel:
    """Return the level that the shown tier requires."""
    return limits.signatures[tier_shown(approval)]


def strength_of(passkey: Passkey | None) -> AssuranceLevel:
    """Return the level of a signature with this passkey, or with a key file where it is None."""
    if passkey is None:
        return "any"
    return held_strength(attested=passkey.attested, backup_eligible=passkey.backup_eligible)


def held_strength(*, attested: bool, backup_eligible: bool) -> AssuranceLevel:
    """Return the level of a passkey."""
    return "hardware" if attested and not backup_eligible else "passkey"


def stronger(one: AssuranceLevel, other: AssuranceLevel) -> AssuranceLevel:
    """Return the stronger of two levels."""
    return max(one, other, key=STRENGTHS.index)


def tier_shown(approval: Approval) -> int:
    """Return the tier that was shown; the highest where it cannot be read."""
    try:
        effects = object_in(approval.shown)["effects"]
        tier = effects["tier"] if isinstance(effects, dict) else None
    except (Malformed, KeyError):
        tier = None
    return tier if isinstance(tier, int) and 0 <= tier < len(ANY_FOR_ALL) else len(ANY_FOR_ALL) - 1
