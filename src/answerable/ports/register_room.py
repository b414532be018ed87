"""Port: whether the registers can be written, and which ends could not be written yet."""

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
    """Ends in force in this process and not yet in the registers."""

    holds: Sequence[Hold] = ()
    revocations: Sequence[Revocation] = ()
    mandates: Sequence[MandateId] = ()


class RegisterRoom(Protocol):
    """Promises: whatever was ended while the registers could not be written is in force in this process, and is written
    in the same order once they can be. Raises only Unavailable (`register.*`)."""

    @property
    def why(self) -> str:
        """Why the registers cannot be written, one line; empty while they can. Without I/O."""
        ...

    def look(self) -> str:
        """Check the disk and return the same. May wait."""
        ...

    def behind(self) -> EndedHere:
        """Return the ends not written yet. Without I/O."""
        ...

    def catch_up(self) -> None:
        """Write the ends not written yet. May wait."""
        ...
