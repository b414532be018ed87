"""The closed list of reasons for a denial, and what each means for the agent's next step.

Laws: codes are permanent, their wording is not; each states whether another request can succeed, so that an agent need
not guess. Whatever the reason, the same action is not deferred again before the denial has expired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Retry = Literal["never", "changed", "later"]
"""never: neither this call nor a variation of it. changed: a changed call may be approved. later: this call, after a
time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenialReason:
    """One reason for a denial. label: for people who choose it. advice: one sentence for the agent."""

    code: str
    label: str
    retry: Retry
    advice: str


OTHER: Final = "other"
NARROWER: Final = "narrower"

_LISTED: Final = (
    DenialReason(
        code="wrong_target",
        label="the wrong recipient or object",
        retry="changed",
        advice="check whom or what it is for; a corrected call may be approved",
    ),
    DenialReason(
        code="too_much",
        label="too much at once",
        retry="changed",
        advice="ask for less in one call",
    ),
    DenialReason(
        code="not_now",
        label="not now",
        retry="later",
        advice="make the same call again after `not_before`, and not earlier",
    ),
    DenialReason(
        code="not_needed",
        label="not what the task is about",
        retry="never",
        advice="go on without it, and do not ask for variations of it",
    ),
    DenialReason(
        code="needs_more_information",
        label="say more first",
        retry="later",
        advice="find out what is missing and give it as the reason of the same call, after `not_before`",
    ),
    DenialReason(
        code="suspicious",
        label="this looks like an attack or a mistake",
        retry="never",
        advice="stop what led here, and tell the person whose task it is",
    ),
    DenialReason(
        code=NARROWER,
        label="less would do",
        retry="changed",
        advice="make the call with exactly the arguments in `narrower`; it is decided anew then",
    ),
    DenialReason(
        code=OTHER,
        label="another reason",
        retry="never",
        advice="do not vary it, unless the comment says how",
    ),
)
REASONS: Final[dict[str, DenialReason]] = {one.code: one for one in _LISTED}
QUICK: Final = tuple(one for one in _LISTED if one.code not in (OTHER, NARROWER))
"""Reasons that one tap selects."""


def denial_reason(code: str) -> DenialReason:
    """Return the reason of a code; `other` for a denial without a code, and for an unknown code."""
    return REASONS.get(code, REASONS[OTHER])
