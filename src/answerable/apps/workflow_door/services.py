"""What this door needs of the product around it, and its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.proof.door_refusal import untold

if TYPE_CHECKING:
    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.flows.trust_domain.workloads import Workloads

PREFIX: Final = "/workflow/v1/"
"""Of every path of this door: what wiring sends here instead of to the gateway."""
BODY_BYTES_MAX: Final = 65_536
BODY_SECONDS_MAX: Final = 10.0
REQUESTS_PER_MINUTE_MAX: Final = 600
"""Of one workflow."""
ITEMS_MAX: Final = 100
"""Of what waits, in one answer, the oldest first: once they are answered the next come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowServices:
    """hosts: names beside those of loopback that the Host field may hold. refused: hears of everything that was
    refused."""

    workloads: Workloads
    refused: TellRefused = untold
    hosts: frozenset[str] = frozenset()
    body_bytes_max: int = BODY_BYTES_MAX
    body_seconds_max: float = BODY_SECONDS_MAX
    requests_per_minute_max: int = REQUESTS_PER_MINUTE_MAX
