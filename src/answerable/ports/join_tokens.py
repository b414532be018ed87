"""Port: the join tokens that were issued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.workload.join_token import JoinToken


class JoinTokens(Protocol):
    """Promises: a token is used at most once, also among racing callers in any process and across a crash: its use is
    on stable storage before `consume` returns the token. Tokens are stored by digest; the tokens themselves are stored
    nowhere. Raises only Unavailable (`register.*`) and, from `add`, Malformed (`join_token.duplicate`,
    `join_token.full`)."""

    def add(self, token: JoinToken) -> None:
        """Register an unused token."""
        ...

    def consume(self, digest: bytes, *, now: UnixMillis) -> JoinToken | None:
        """Use up the token and return it; None when it is unknown, was used, has expired or was made after `now`. An
        expired token is used up all the same, so that setting the clock back cannot make it valid again."""
        ...

    def all(self) -> Iterable[JoinToken]:
        """Return all stored tokens, including used and expired ones, newest first."""
        ...

    def forget(self, *, before: UnixMillis) -> int:
        """Remove the tokens that expired before this time; return how many."""
        ...
