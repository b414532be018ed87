"""What the flows of the token service work with, put together by wiring, and what it signs with."""

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
    from answerable.flows.state.walk import Walk
    from answerable.ports.token_register import TokenRegister

PLACES_AHEAD: Final = 64
"""Places in status lists that are taken at a time, with one write. Those left over at a crash stay nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """Lifetimes in seconds. action: of a token for actions, unless its tier says less (`Walk.acting`).

    delegation: longest of a hop from which an agent hands on. status_list: how long others may go by a status list.
    """

    action: int = 60
    delegation: int = 3_600
    status_list: int = 30
    depth_max: int = DEPTH_USUAL


@dataclass(slots=True, kw_only=True)
class TokenState:
    """issuer: what the service is called, known once it listens. keys: what it signs with, the newest first; older ones
    are believed until what they signed has run out.
    """

    walk: Walk
    tokens: TokenRegister
    known: KnownCallers
    keys: tuple[SigningKey, ...]
    issuer: Callable[[], str]
    limits: TokenLimits = field(default_factory=TokenLimits)
    _places: list[StatusPlace] = field(default_factory=list)

    def place(self) -> StatusPlace:
        """A place in a status list, given once. Raises Unavailable (`register.*`)."""
        if not self._places:
            self._places.extend(self.tokens.take_places(PLACES_AHEAD))
        return self._places.pop()

    def public_keys(self, issuer: str) -> tuple[PublicKey, ...]:
        """Those that are believed for an issuer: ours for ourselves, none for anybody else."""
        return tuple(key.public for key in self.keys) if issuer == self.issuer() else ()

    def jwks(self) -> list[Mapping[str, JSONValue]]:
        """As strangers get them (RFC 7517)."""
        found: list[Mapping[str, JSONValue]] = []
        for key in self.keys:
            members = parse(key.public.jwk.encode("ascii"))
            if isinstance(members, dict):
                found.append({**members, "kid": key.public.thumbprint, "use": "sig"})
        return found
