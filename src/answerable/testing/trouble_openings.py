"""Inject faults into the register of openings, as `trouble` decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.view_challenges import Haste
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.testing.fault_injection import Trouble


class TroubledOpenings:
    """Implements ports.challenge_register.OpeningRegister."""

    def __init__(self, register: OpeningRegister, trouble: Trouble) -> None:
        self._register, self._trouble = register, trouble

    def give(self, digest: bytes, *, about: str, to: str, at: UnixMillis, ends: UnixMillis) -> None:
        self._trouble.call(
            "openings.give", lambda: self._register.give(digest, about=about, to=to, at=at, ends=ends)
        )

    def take(self, digest: bytes, *, about: str, by: str, now: UnixMillis) -> UnixMillis | None:
        return self._trouble.call(
            "openings.take", lambda: self._register.take(digest, about=about, by=by, now=now)
        )

    def look(self, things: Sequence[str], person: str, at: UnixMillis) -> None:
        self._trouble.call("openings.look", lambda: self._register.look(things, person, at))

    def looked(self, about: str, person: str) -> UnixMillis | None:
        return self._trouble.call("openings.looked", lambda: self._register.looked(about, person))

    def claim(
        self, person: str, kind: Haste, what: str, *, at: UnixMillis, since: UnixMillis, most: int
    ) -> int | None:
        return self._trouble.call(
            "openings.claim",
            lambda: self._register.claim(person, kind, what, at=at, since=since, most=most),
        )

    def let_go(self, person: str, kind: Haste, what: str) -> None:
        self._trouble.call("openings.let_go", lambda: self._register.let_go(person, kind, what))
