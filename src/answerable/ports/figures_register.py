"""Port: the figures that were counted from each log of a deployment, kept so that no start counts a whole log again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFigures:
    """entries: all below are counted. form: of the rows, as the code that made them numbers it. at: when it was kept,
    Unix milliseconds. rows: by name, as they were encoded. beside: what that process measured of itself."""

    entries: int
    form: int
    at: int
    rows: Mapping[str, bytes] = field(default_factory=dict)
    beside: bytes = b""


class FiguresRegister(Protocol):
    """Promises: what `keep` was given is on stable storage as a whole when it returns, or nothing of it. No record: the
    log is the record, and what is missing here is counted from there. Raises only Unavailable (`register.*`).
    """

    def keep(
        self,
        origin: str,
        changed: Mapping[str, bytes | None],
        *,
        entries: int,
        form: int,
        at: int,
        beside: bytes,
        anew: bool,
    ) -> None:
        """Keep for the log `origin` the rows that changed, None for one that is gone. anew: nothing of what was kept of
        this log before stays. One write."""
        ...

    def kept(self, origin: str) -> KeptFigures | None:
        """All that is kept for this log; None where nothing is."""
        ...

    def origins(self) -> tuple[str, ...]:
        """The logs of which something is kept, in order."""
        ...
