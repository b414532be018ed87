"""What this door needs of the product around it, and its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.identity.caller import VerifiedCaller
    from answerable.core.identity.channel import Channel
    from answerable.core.identity.http_signature import SignedRequest
    from answerable.core.identity.principal import AgentId
    from answerable.flows.workloads import Workloads

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

    def receive(
        self, method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> SignedRequest:
        """The parts of a request that a proof covers. Raises Unverified."""
        ...

    def verify(self, message: SignedRequest, channel: Channel | None = None) -> VerifiedCaller:
        """The proved caller. Raises Unverified."""
        ...


def _unnoted(agent: AgentId, code: str) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """hosts: names beside those of loopback that the Host field may hold. noted: told what a proved instance was
    refused, so that it can be counted."""

    workloads: Workloads
    prover: Prover
    hosts: frozenset[str] = frozenset()
    body_bytes_max: int = BODY_BYTES_MAX
    body_seconds_max: float = BODY_SECONDS_MAX
    attesting_max: int = ATTESTING_MAX
    requests_per_minute_max: int = REQUESTS_PER_MINUTE_MAX
    noted: Callable[[AgentId, str], None] = _unnoted
