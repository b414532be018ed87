"""Join tokens in memory: the same answers as durable ones, until the process ends."""

from __future__ import annotations

import threading
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from answerable.core.identity.join_token import TOKENS_MAX
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.join_token import JoinToken
    from answerable.core.identity.principal import UnixMillis


class MemoryJoinTokens:
    """Port JoinTokens."""

    def __init__(self, *, tokens_max: int = TOKENS_MAX) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[bytes, JoinToken] = {}
        self._tokens_max = tokens_max

    def add(self, token: JoinToken) -> None:
        """As the port says."""
        with self._lock:
            if token.digest in self._tokens:
                raise Malformed("this join token is registered already", code="join_token.duplicate")
            if len(self._tokens) >= self._tokens_max:
                raise Malformed(
                    f"there are {self._tokens_max} join tokens, the most there can be", code="join_token.full"
                )
            self._tokens[token.digest] = token

    def consume(self, digest: bytes, *, now: UnixMillis) -> JoinToken | None:
        """As the port says."""
        with self._lock:
            found = self._tokens.get(digest)
            if found is None or found.used_at is not None or now < found.created_at:
                return None
            self._tokens[digest] = used = changed(found, used_at=now)
            return used if found.is_good(now) else None

    def all(self) -> Iterable[JoinToken]:
        """As the port says."""
        with self._lock:
            return tuple(reversed(tuple(self._tokens.values())))

    def forget(self, *, before: UnixMillis) -> int:
        """As the port says."""
        with self._lock:
            old = [digest for digest, token in self._tokens.items() if token.expires_at < before]
            for digest in old:
                del self._tokens[digest]
            return len(old)
