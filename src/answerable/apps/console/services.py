"""Declare what the console needs from the rest of the system, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from answerable.core.identity.proof.door_refusal import untold

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.search_process import Searches
    from answerable.wiring.walk import Walk


class CodeFlow(Protocol):
    """An OpenID provider at which people sign in (OpenID Connect Core, 3.1; PKCE, RFC 7636)."""

    @property
    def issuer(self) -> str:
        """The issuer identifier, exactly."""
        ...

    async def names_itself(self) -> bool:
        """Whether the provider names its issuer in every response to the browser (RFC 9207). Raises Unavailable
        (`issuer.*`)."""
        ...

    async def address(self, *, state: str, nonce: str, verifier: str, redirect: str) -> str:
        """Return the address to redirect the browser to. Raises Unavailable (`issuer.*`)."""
        ...

    async def id_token(self, code: str, *, verifier: str, redirect: str) -> str:
        """Exchange a code for an ID token, not yet verified. Raises Unverified (`sign_in.code`), Unavailable
        (`issuer.*`)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleLimits:
    """Limits of the console, in seconds unless the name says otherwise. fresh_seconds: longest time since a person's
    last verification for the most sensitive changes."""

    session_idle_seconds: int = 900
    session_seconds: int = 28_800
    fresh_seconds: int = 300
    sessions_max: int = 1_000
    attempts_per_minute_max: int = 30
    streams_per_session_max: int = 4
    body_bytes_max: int = 131_072
    body_seconds_max: float = 10.0
    live_seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleServices:
    """The console's dependencies.

    origin: the exact origin under which browsers open the console. searches: asked for what pages show of activity.
    workloads: set if there are instances to end. providers: OpenID providers for sign-in. stopping: whether the server
    is shutting down. refused: called for every refused request that has no session. browsers_secret: by which browsers
    in which people signed in are recognised; empty for one of this process alone. user_of: returns the user of this
    machine at the other end of a connection, by both addresses; None for others.
    """

    walk: Walk
    origin: str
    searches: Searches
    workloads: Workloads | None = None
    providers: tuple[CodeFlow, ...] = ()
    stopping: Callable[[], bool] = lambda: False
    refused: TellRefused = untold
    browsers_secret: bytes = b""
    user_of: Callable[[tuple[str, int], tuple[str, int]], int | None] = lambda _theirs, _ours: None
    limits: ConsoleLimits = field(default_factory=ConsoleLimits)
