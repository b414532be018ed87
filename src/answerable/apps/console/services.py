"""What the console needs of the product, and its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from answerable.core.identity.proof.door_refusal import untold

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.flows.state.walk import Walk
    from answerable.flows.trust_domain.workloads import Workloads


class CodeFlow(Protocol):
    """An OpenID provider at which people sign in (OpenID Connect Core, 3.1; PKCE, RFC 7636)."""

    @property
    def issuer(self) -> str:
        """Its identifier, exactly."""
        ...

    async def names_itself(self) -> bool:
        """Whether it says in each answer to the browser who answers (RFC 9207). Raises Unavailable (`issuer.*`)."""
        ...

    async def address(self, *, state: str, nonce: str, verifier: str, redirect: str) -> str:
        """Where to send the browser. Raises Unavailable (`issuer.*`)."""
        ...

    async def id_token(self, code: str, *, verifier: str, redirect: str) -> str:
        """The ID token for a code, not verified yet. Raises Unverified (`sign_in.code`), Unavailable (`issuer.*`)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleLimits:
    """Bounds of the console. Seconds unless they say otherwise. fresh_seconds: how long ago somebody may have shown who
    they are for what matters most."""

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
    """origin: where browsers have the console, exactly. workloads: where there are instances to end. providers: at
    which people sign in. stopping: whether the server is about to end. refused: hears of who was refused and is not
    signed in."""

    walk: Walk
    origin: str
    workloads: Workloads | None = None
    providers: tuple[CodeFlow, ...] = ()
    stopping: Callable[[], bool] = lambda: False
    refused: TellRefused = untold
    limits: ConsoleLimits = field(default_factory=ConsoleLimits)
