"""Retry statements after transient server errors, and translate the permanent ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import asyncpg

from answerable.adapters.postgres_roles.connections import words_of
from answerable.errors import AnswerableError
from answerable.errors.codes.leases import LEASE_SCOPE, LEASE_TAKEN, LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.ports.entropy import Entropy

Result = TypeVar("Result")

ATTEMPTS_MAX: Final = 8
PAUSE_SECONDS_FIRST: Final = 0.02
PAUSE_SECONDS_MAX: Final = 0.5
_BUSY: Final = frozenset({"55P03", "40P01", "40001", "55006"})
"""Lock not available, deadlock, serialization, object in use."""
_INTERNAL: Final = "XX000"
_MEANWHILE: Final = ("tuple concurrently updated", "tuple concurrently deleted", "could not find tuple")
_TAKEN: Final = frozenset({"42710", "23505"})
_FORBIDDEN: Final = "42501"
_CLASSES_OF_SCOPE: Final = ("22", "42", "0L", "3F", "3D")
"""SQLSTATE classes of a bad scope: values of another type, unknown names, rights that cannot be granted."""


class Retrying:
    """Retries with growing, jittered pauses, so that callers that collided once do not collide again."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy

    async def until_done(
        self,
        once: Callable[[], Awaitable[Result]],
        meaning: Callable[[asyncpg.PostgresError], AnswerableError],
    ) -> Result:
        """Run `once` until it succeeds, ATTEMPTS_MAX times at most. meaning: translates a refusal that is permanent or
        lasts."""
        pause = PAUSE_SECONDS_FIRST
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await once()
            except asyncpg.PostgresError as refused:
                if attempt == ATTEMPTS_MAX or not is_passing(refused):
                    raise meaning(refused) from None
            await anyio.sleep(pause * (1 + self._entropy.bytes(1)[0] / 256))
            pause = min(PAUSE_SECONDS_MAX, pause * 2)
        raise AssertionError("the last attempt returns or raises")


def is_passing(refused: asyncpg.PostgresError) -> bool:
    """Whether a retry may succeed: others wrote the same catalog rows, or held a lock."""
    if refused.sqlstate == _INTERNAL:
        return any(words in str(refused) for words in _MEANWHILE)
    return refused.sqlstate in _BUSY


def unended(refused: asyncpg.PostgresError) -> AnswerableError:
    """Translate a refusal to end a role."""
    return LEASE_TARGET(f"the server refused to end the lease: {words_of(refused)}", effect="unknown")


def unissued(refused: asyncpg.PostgresError) -> AnswerableError:
    """Translate a refusal to create a role: Refused (`lease.taken`, `lease.scope`), Unavailable (`lease.target`)."""
    state = refused.sqlstate or ""
    said = words_of(refused)
    if state in _TAKEN:
        return LEASE_TAKEN("the server has a role with the name of this lease already")
    if state == _FORBIDDEN:
        wrong = f"the broker's own account may not grant it: {said}"
        return LEASE_SCOPE(wrong)
    if state.startswith(_CLASSES_OF_SCOPE):
        return LEASE_SCOPE(f"the scope cannot be granted: {said}")
    return LEASE_TARGET(f"the server refused to create the role of the lease: {said}")
