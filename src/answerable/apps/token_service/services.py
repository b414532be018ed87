"""Declare what the token service needs from the rest of the system, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from answerable.core.identity.proof.door_refusal import untold

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.door_refusal import TellRefused
    from answerable.flows.tokens.authenticate_client import Asked, TokenClient
    from answerable.flows.tokens.exchange_token import Granted
    from answerable.flows.tokens.find_parent import Exchange

BODY_BYTES_MAX: Final = 262_144
BODY_SECONDS_MAX: Final = 10.0


class Authenticate(Protocol):
    """As flows.authenticate_client.ClientAuthenticator.authenticate."""

    def __call__(self, asked: Asked) -> TokenClient:
        """Return the authenticated client. Raises Unverified, Malformed, Refused."""
        ...


class ExchangeToken(Protocol):
    """As flows.exchange_token.exchange_token, with its state bound."""

    async def __call__(self, client: TokenClient, wanted: Exchange) -> Granted:
        """Return a token for this client. Raises the errors of the family."""
        ...


def _unchallenged(step: str) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenServices:
    """The token service's dependencies.

    issuer: returns the service's own identifier, known once it listens. jwks: public keys that verify tokens. servers:
    the registered servers. introspect: what is known of a token, for a client; `active` is always present. signed: an
    introspection as a signed response (RFC 9701). revoke: ends a token of the client's. status_list: the signed list of
    that number, None if there is none. nonce: a fresh one for proofs. challenge: returns, for a failed proof step, what
    the client needs to try again; empty for nothing. refused: called for every refused request.
    """

    issuer: Callable[[], str]
    jwks: Callable[[], Collection[Mapping[str, JSONValue]]]
    servers: Callable[[], Collection[str]]
    authenticate: Authenticate
    prove_key: Callable[[Asked], str]
    exchange: ExchangeToken
    introspect: Callable[[TokenClient, str], dict[str, JSONValue]]
    signed: Callable[[TokenClient, dict[str, JSONValue]], str]
    revoke: Callable[[TokenClient, str], Awaitable[bool]]
    status_list: Callable[[int], str | None]
    status_lists: Callable[[], Collection[int]]
    nonce: Callable[[], str]
    challenge: Callable[[str], str] = _unchallenged
    hosts: frozenset[str] = frozenset()
    body_bytes_max: int = BODY_BYTES_MAX
    body_seconds_max: float = BODY_SECONDS_MAX
    refused: TellRefused = untold
