"""Clicks in a chat as answers: when a click counts, and what an approval stores of it.

A click is no signature: the stored record is our server's statement of what the chat reported, which proves nothing to
an outside verifier. It is one canonical JSON text. `typ` is `answerable-approval-click`.

| member       | meaning                                                                                |
|--------------|----------------------------------------------------------------------------------------|
| `v`          | 1                                                                                      |
| `iss`        | the person; `channel` the chat, `team` and `user` the account in it that clicked        |
| `aud`        | the deployment, `approval` the approval's id                                           |
| `action`     | the action hash, `rendering` the rendering hash, both hex                              |
| `verdict`    | `approve` or `deny`; `reason` the code of a denial, empty for an approval              |
| `nonce`      | SHA-256 of the value behind the button, hex                                            |
| `request`    | SHA-256 of the chat's request that reported it, hex; `sent_s` its Unix time, seconds   |
| `iat_ms`     | when it was received, Unix milliseconds, by our clock                                  |

Laws: a click never counts for the highest tier, never where more than one answer is needed, never where policy hides
the content of the action, and only for an object that states that a click may answer it. Source: decision 0033.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta

from answerable.core.approval.action_object import BY_CLICK, object_in
from answerable.core.approval.assurance_level import CHAT, CRITICAL, HasStrengths, takes_strength, tier_shown
from answerable.core.canonical import encode, parse
from answerable.errors import Malformed, shown
from answerable.errors.codes.approval import APPROVAL_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.facts import Requirement
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis

CLICK_TYP: Final = "answerable-approval-click"
VERSION: Final = 1
HIDDEN: Final = frozenset({"confidential", "restricted"})
"""Sensitivities of content that is never posted in a chat."""
APPROVE: Final = "answerable.approve"
DENY: Final = "answerable.deny"
DENY_BECAUSE: Final = "answerable.deny_because"
"""Ids of the elements of a message, by which the chat reports which one was used."""
_Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Name = Annotated[str, Meta(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAccount:
    """Ids of a workspace and of a member of it, as the chat defines them."""

    team: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Buttons of a message. nonce: the value behind them, base64url; it and the account that it was made for can answer
    once. lines: pairs of label and text that are shown in full."""

    nonce: str
    lines: tuple[tuple[str, str], ...]


class ClickKept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The stored record of a click, parsed but not proven. Members as in the table of the module."""

    typ: Literal["answerable-approval-click"]
    v: Literal[1]
    iss: str
    aud: str
    approval: str
    action: _Hex
    rendering: _Hex
    verdict: Literal["approve", "deny"]
    reason: str
    channel: Literal["slack"]
    team: _Name
    user: _Name
    nonce: _Hex
    request: _Hex
    sent_s: int
    iat_ms: int


class HasLooks(HasStrengths, Protocol):
    """Settings with minimum viewing times. look_seconds_min: minimum time for which people must have had an action
    open, for each tier from 0."""

    @property
    def look_seconds_min(self) -> tuple[int, ...]:
        """See the class."""
        ...


def tier_takes_clicks(limits: HasLooks, tier: int) -> bool:
    """Whether the settings let a click answer actions of this tier. A click has no measured viewing time, so a tier
    with a minimum accepts none."""
    return takes_strength(limits, tier, CHAT) and limits.look_seconds_min[tier] == 0


def offers_clicks(
    limits: HasLooks, *, tier: int, sensitivity: str, requirements: Sequence[Requirement]
) -> bool:
    """Whether a click may answer such an action; its object then states so."""
    alone = [one.count for one in requirements] == [1]
    return tier_takes_clicks(limits, tier) and alone and sensitivity not in HIDDEN


def click_fault(limits: HasLooks, approval: Approval, *, tier: int) -> str:
    """Return why a click does not count for this approval, in words; empty where it does. tier: current one of the
    capability."""
    try:
        value = object_in(approval.shown)
    except Malformed:
        return "nothing was shown"
    effects = value.get("effects")
    sensitivity = effects.get("sensitivity") if isinstance(effects, dict) else None
    highest = max(tier, tier_shown(approval))
    if value.get(BY_CLICK) is not True or highest >= CRITICAL:
        return "it is not one that a click may answer"
    if not all(tier_takes_clicks(limits, one) for one in {tier, tier_shown(approval)}):
        return "settings let no click answer an action of its tier any more"
    fits = isinstance(sensitivity, str) and offers_clicks(
        limits, tier=highest, sensitivity=sensitivity, requirements=approval.requirements
    )
    return "" if fits else "it needs more than one answer, or holds what is not put into a chat"


def object_takes_clicks(value: dict[str, JSONValue]) -> bool:
    """Whether an action object, by itself, lets a click answer it. One of the highest tier, or one that several people
    must answer, never does, whatever else it states."""
    effects, needed = value.get("effects"), value.get("requirements")
    tier = effects.get("tier") if isinstance(effects, dict) else None
    alone = (
        isinstance(needed, list) and len(needed) == 1 and isinstance(needed[0], list) and needed[0][1:] == [1]
    )
    return value.get(BY_CLICK) is True and type(tier) is int and 0 <= tier < CRITICAL and alone


def kept_click(
    approval: Approval,
    account: ChatAccount,
    *,
    by: PrincipalId,
    verdict: Literal["approve", "deny"],
    reason: str,
    audience: str,
    nonce: str,
    request: str,
    sent_s: int,
    at: UnixMillis,
) -> str:
    """Build the stored record of a verified click. nonce, request: digests, hex. Raises Malformed (`json.*`)."""
    members: dict[str, JSONValue] = {
        "typ": CLICK_TYP,
        "v": VERSION,
        "iss": by,
        "aud": audience,
        "approval": approval.id,
        "action": approval.shown.hex,
        "rendering": approval.card.hex,
        "verdict": verdict,
        "reason": reason,
        "channel": "slack",
        "team": account.team,
        "user": account.user,
        "nonce": nonce,
        "request": request,
        "sent_s": sent_s,
        "iat_ms": at,
    }
    return encode(members).decode()


def is_click(token: str) -> bool:
    """Whether a stored answer is a click, which has no signature. Never raises."""
    if not token.startswith("{") or f'"{CLICK_TYP}"' not in token:
        return False
    try:
        value = parse(token.encode())
    except Malformed:
        return False
    return isinstance(value, dict) and value.get("typ") == CLICK_TYP


def click_in(token: str) -> ClickKept:
    """Parse the stored record of a click. Raises Malformed (`approval.malformed`, `json.*`)."""
    value = parse(token.encode())
    try:
        kept = msgspec.convert(value, ClickKept)
    except msgspec.ValidationError as error:
        raise APPROVAL_MALFORMED(f"not a click: {shown(str(error).lower())}") from None
    if (kept.verdict == "deny") is not bool(kept.reason):
        raise APPROVAL_MALFORMED("a denial by click must have a reason, and an approval must have none")
    return kept
