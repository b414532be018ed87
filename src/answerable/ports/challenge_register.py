"""Port: which approvals each person has open and since when, the nonces for answers, and each person's recent count of
answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.view_challenges import Haste
    from answerable.core.identity.names.principal import UnixMillis


class OpeningRegister(Protocol):
    """Promises: `give`, `take`, `look`, `claim` and `let_go` are on stable storage when they return and survive a
    restart; each of them, and `looked`, sees at once what all processes on this register did; a nonce is taken at most
    once, and claims never exceed the permitted number, also among racing callers. Nothing grows past the bounds of
    `core.approval.view_challenges`, except claims, which are bounded per person.

    Raises only Unavailable (`register.*`).
    """

    def give(self, digest: bytes, *, about: str, to: str, at: UnixMillis, ends: UnixMillis) -> None:
        """Store a nonce, by its digest, for one answer to `about`. to: the only person who may take it; empty for
        anybody."""
        ...

    def take(self, digest: bytes, *, about: str, by: str, now: UnixMillis) -> UnixMillis | None:
        """Take the nonce and return when it was given. None unless it was given for `about` and for this person, has
        not expired and was not taken before."""
        ...

    def look(self, things: Sequence[str], person: str, at: UnixMillis) -> None:
        """Note that a person opened these items. Only the first time of each item counts."""
        ...

    def looked(self, about: str, person: str) -> UnixMillis | None:
        """Return when the person first opened the item; None if never, or if the entry was removed."""
        ...

    def claim(
        self, person: str, kind: Haste, what: str, *, at: UnixMillis, since: UnixMillis, most: int
    ) -> int | None:
        """Count one answer of this kind by a person, and return None; repeated claims of one answer count once. If the
        person gave `most` other answers after `since`, count nothing and return their number. Claims up to `since` are
        removed."""
        ...

    def let_go(self, person: str, kind: Haste, what: str) -> None:
        """Withdraw one claim whose answer had no effect. It stays counted if it was claimed again meanwhile."""
        ...
