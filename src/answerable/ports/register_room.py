"""Port: whether the registers can be written, and what was ended while they could not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.containment.hold import Hold
    from answerable.core.mandate.mandate import MandateId
    from answerable.core.mandate.revocation import Revocation


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedHere:
    """In force in this process, and not in the registers."""

    holds: Sequence[Hold] = ()
    revocations: Sequence[Revocation] = ()
    mandates: Sequence[MandateId] = ()


class RegisterRoom(Protocol):
    """Promises: what was ended while nothing could be written is in force in this process and is written, in the order
    in which it was ended, once it can be. Raises only Unavailable (`register.*`)."""

    @property
    def why(self) -> str:
        """Why the registers cannot be written, one line; empty while they can. Without I/O."""
        ...

    def look(self) -> str:
        """The same, after a look at the disk. May wait."""
        ...

    def behind(self) -> EndedHere:
        """What is not written yet. Without I/O."""
        ...

    def catch_up(self) -> None:
        """Write it. May wait."""
        ...
