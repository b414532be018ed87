"""State of the token service: its registers, limits and signing keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import parse
from answerable.core.mandate.delegation_chain import DEPTH_USUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey, SigningKey
    from answerable.core.mandate.issued_token import StatusPlace
    from answerable.flows.state.known_callers import KnownCallers
    from answerable.flows.state.parts import AuthorityRegisters, Counters, LiveAccess, Recorder
    from answerable.flows.state.worlds import Verification
    from answerable.ports.token_register import TokenRegister

PLACES_AHEAD: Final = 64
"""Status list places taken with one write. Places left over at a crash stay unused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """Lifetimes in seconds. `action`: of a token for actions, unless its tier has a shorter one (`acting`).

    `delegation`: longest lifetime of a hop from which an agent delegates. `status_list`: how long others may use a
    cached status list.
    """

    action: int = 60
    delegation: int = 3_600
    status_list: int = 30
    depth_max: int = DEPTH_USUAL


@dataclass(slots=True, kw_only=True)
class TokenState:
    """The token service of this process.

    `issuer`: name of the service, known once it listens. `keys`: signing keys, newest first; older keys stay trusted
    until everything they signed has expired.
    """

    recorder: Recorder
    authority: AuthorityRegisters
    verification: Verification
    counters: Counters
    live: LiveAccess
    tokens: TokenRegister
    known: KnownCallers
    keys: tuple[SigningKey, ...]
    issuer: Callable[[], str]
    limits: TokenLimits = field(default_factory=TokenLimits)
    _places: list[StatusPlace] = field(default_factory=list)

    def place(self) -> StatusPlace:
        """Return an unused place in a status list. Raises Unavailable (`register.*`)."""
        if not self._places:
            self._places.extend(self.tokens.take_places(PLACES_AHEAD))
        return self._places.pop()

    def public_keys(self, issuer: str) -> tuple[PublicKey, ...]:
        """Return the keys trusted for an issuer: this service's keys for itself, none for others."""
        return tuple(key.public for key in self.keys) if issuer == self.issuer() else ()

    def jwks(self) -> list[Mapping[str, JSONValue]]:
        """Return the public keys as a JWK set (RFC 7517), as unauthenticated callers get it."""
        found: list[Mapping[str, JSONValue]] = []
        for key in self.keys:
            members = parse(key.public.jwk.encode("ascii"))
            if isinstance(members, dict):
                found.append({**members, "kid": key.public.thumbprint, "use": "sig"})
        return found
