"""Declare what the enrolment endpoint needs from the rest of the system, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from answerable.core.identity.proof.door_refusal import untold

if TYPE_CHECKING:
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.proof.channel import Channel
    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.core.identity.proof.http_signature import SignedRequest
    from answerable.flows.trust_domain.workloads import Workloads

PREFIX: Final = "/identity/v1/"
"""Prefix of every path of this endpoint: wiring sends these paths here instead of to the gateway."""
BODY_BYTES_MAX: Final = 262_144
BODY_SECONDS_MAX: Final = 10.0
ATTESTING_MAX: Final = 16
"""Unauthenticated enrolments processed at a time, of local and of remote callers each: one may hash a whole program or
wait for an issuer."""

REQUESTS_PER_MINUTE_MAX: Final = 120
"""Limit for one instance: each request may write ledger entries."""


class Prover(Protocol):
    """As flows.verify_caller.CallerVerifier, which knows the keys of live instances."""

    def challenge(self, step: str) -> str:
        """Return the value of the WWW-Authenticate field."""
        ...

    def verify(self, message: SignedRequest, channel: Channel | None = None) -> VerifiedCaller:
        """Return the verified caller. Raises Unverified."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentServices:
    """The endpoint's dependencies and limits. hosts: names that the Host field may hold, besides those of loopback.
    refused: called for every refused request."""

    workloads: Workloads
    prover: Prover
    hosts: frozenset[str] = frozenset()
    body_bytes_max: int = BODY_BYTES_MAX
    body_seconds_max: float = BODY_SECONDS_MAX
    attesting_max: int = ATTESTING_MAX
    requests_per_minute_max: int = REQUESTS_PER_MINUTE_MAX
    refused: TellRefused = untold
