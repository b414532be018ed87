"""Port: what people have open before them, since when, and how often they said yes lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.view_challenges import Haste
    from answerable.core.identity.names.principal import UnixMillis


class OpeningRegister(Protocol):
    """Promises: `give`, `take`, `look`, `claim` and `let_go` are on stable storage when they return and survive a
    restart; every one of them, and `looked`, sees at once what all processes on this register did; a nonce is taken at
    most once, and no more claims stand than were allowed, whoever races. Nothing grows past the bounds of
    `core.approval.openings`, but claims, of which each person has so many as were allowed.

    Raises only Unavailable (`register.*`).
    """

    def give(self, digest: bytes, *, about: str, to: str, at: UnixMillis, ends: UnixMillis) -> None:
        """Keep a nonce, by its digest, for one answer to `about`. to: who alone may take it; empty for anybody."""
        ...

    def take(self, digest: bytes, *, about: str, by: str, now: UnixMillis) -> UnixMillis | None:
        """When it was given, if it was for this and for whoever takes it, is in time, and was not taken; it is now."""
        ...

    def look(self, things: Sequence[str], person: str, at: UnixMillis) -> None:
        """A person has these before them; of each the first time counts."""
        ...

    def looked(self, about: str, person: str) -> UnixMillis | None:
        """Since when they have; None for never, and for what is forgotten."""
        ...

    def claim(
        self, person: str, kind: Haste, what: str, *, at: UnixMillis, since: UnixMillis, most: int
    ) -> int | None:
        """Count that a person says this, once however often it is claimed, unless they said `most` other things after
        `since`: then nothing is claimed, and how many it were is returned. Claims up to `since` are forgotten."""
        ...

    def let_go(self, person: str, kind: Haste, what: str) -> None:
        """Nothing came of one claim; it counts no more, unless it was claimed again meanwhile."""
        ...
