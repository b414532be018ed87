"""What this door needs of the product around it, and its bounds."""

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
"""Of every path of this door: what wiring sends here instead of to the gateway."""
BODY_BYTES_MAX: Final = 262_144
BODY_SECONDS_MAX: Final = 10.0
ATTESTING_MAX: Final = 16
"""Strangers' enrolments that are looked at together, of local processes and of others each: one may read a whole
program, or wait for an issuer."""

REQUESTS_PER_MINUTE_MAX: Final = 120
"""Of one instance: each may write entries into the ledger that nobody else asked for."""


class Prover(Protocol):
    """flows.verify_caller.CallerVerifier, which knows the keys of live instances."""

    def challenge(self, step: str) -> str:
        """Value of the WWW-Authenticate field."""
        ...

    def verify(self, message: SignedRequest, channel: Channel | None = None) -> VerifiedCaller:
        """The proved caller. Raises Unverified."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentServices:
    """hosts: names beside those of loopback that the Host field may hold. refused: hears of everything that was
    refused."""

    workloads: Workloads
    prover: Prover
    hosts: frozenset[str] = frozenset()
    body_bytes_max: int = BODY_BYTES_MAX
    body_seconds_max: float = BODY_SECONDS_MAX
    attesting_max: int = ATTESTING_MAX
    requests_per_minute_max: int = REQUESTS_PER_MINUTE_MAX
    refused: TellRefused = untold
