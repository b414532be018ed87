"""Limits on callers' proofs: clock skew, nonces, sessions, connections."""

from __future__ import annotations

from dataclasses import dataclass

from answerable.core.identity.proof.session import LIFETIME_SECONDS_MAX
from answerable.errors.codes.tlog import PROOF_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofLimits:
    """Limits on proofs.

    `authorities`: the `host[:port]` names of this server, lower case; a proof made for another server's name is
    refused, so that a proof received by one server cannot be forwarded to another.

    `skew_seconds_max`: how far `created` may differ from this clock, either way. `nonces_per_agent_max`: signed
    messages of one agent in twice that time; past it only that agent is refused. `sessions_per_agent_max`: past it the
    least recently used session of that agent ends; an enrolled instance has `SESSIONS_PER_INSTANCE_MAX`.
    `session_seconds`: lifetime. `connections_max`: connections cached.
    """

    authorities: frozenset[str]
    skew_seconds_max: int = 60
    nonces_per_agent_max: int = 60_000
    sessions_per_agent_max: int = 64
    session_seconds: int = LIFETIME_SECONDS_MAX
    connections_max: int = 65_536

    def __post_init__(self) -> None:
        if not 0 < self.session_seconds <= LIFETIME_SECONDS_MAX:
            raise PROOF_LIMITS(f"a session lives 1 to {LIFETIME_SECONDS_MAX} s, got {self.session_seconds}")
        if (
            min(
                self.skew_seconds_max,
                self.nonces_per_agent_max,
                self.sessions_per_agent_max,
                self.connections_max,
            )
            < 1
        ):
            raise PROOF_LIMITS("limits of proofs are at least 1 each")
