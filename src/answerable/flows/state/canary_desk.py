"""State of attention checks (canaries) in this process."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.approval import ApprovalId
    from answerable.core.identity.names.principal import UnixMillis

PATTERNS_MAX: Final = 16


@dataclass(slots=True, kw_only=True)
class AttentionCheckState:
    """Attention checks of this process.

    `patterns`: the last real actions that people were asked about, with the time. `waiting`: attention checks whose
    result is not announced yet; None until those of an earlier process have been looked up. `looked_at`: time of the
    last random draw on whether to send one, Unix milliseconds; 0 for never.
    """

    patterns: deque[tuple[UnixMillis, VerifiedRequest]] = field(
        default_factory=lambda: deque(maxlen=PATTERNS_MAX)
    )
    waiting: set[ApprovalId] | None = None
    looked_at: int = 0
