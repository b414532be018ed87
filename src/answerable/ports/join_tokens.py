"""Port: the join tokens that were handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.workload.join_token import JoinToken


class JoinTokens(Protocol):
    """Promises: a token is used at most once, whoever races, in this process and in others, also across a crash: that
    it is used up is on stable storage before `consume` returns it. Tokens are known by their digest; they themselves
    are nowhere. Raises only Unavailable (`register.*`) and, from `add`, Malformed (`join_token.duplicate`,
    `join_token.full`).
    """

    def add(self, token: JoinToken) -> None:
        """Register a token that was not used yet."""
        ...

    def consume(self, digest: bytes, *, now: UnixMillis) -> JoinToken | None:
        """Use it up; None when there is none, when it was used, when it has expired or was made after `now`. An expired
        one is used up all the same, so that no clock that is set back later makes it good."""
        ...

    def all(self) -> Iterable[JoinToken]:
        """All that are kept, used and expired ones included, newest first."""
        ...

    def forget(self, *, before: UnixMillis) -> int:
        """Drop those that expired before this time; tells how many."""
        ...
