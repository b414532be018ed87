"""Declare what the workflow endpoint needs from the rest of the system, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.proof.door_refusal import untold

if TYPE_CHECKING:
    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.flows.trust_domain.workloads import Workloads

PREFIX: Final = "/workflow/v1/"
"""Prefix of every path of this endpoint: wiring sends these paths here instead of to the gateway."""
BODY_BYTES_MAX: Final = 65_536
BODY_SECONDS_MAX: Final = 10.0
REQUESTS_PER_MINUTE_MAX: Final = 600
"""Limit for one workflow."""
ITEMS_MAX: Final = 100
"""Pending approvals in one answer, oldest first: once those are answered, the next ones are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowServices:
    """The dependencies and limits. hosts: names that the Host field may hold, besides those of loopback. refused:
    called for every refused request."""

    workloads: Workloads
    refused: TellRefused = untold
    hosts: frozenset[str] = frozenset()
    body_bytes_max: int = BODY_BYTES_MAX
    body_seconds_max: float = BODY_SECONDS_MAX
    requests_per_minute_max: int = REQUESTS_PER_MINUTE_MAX
