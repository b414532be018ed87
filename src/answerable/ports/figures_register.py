"""Port: statistics counted from each log of a deployment, stored so that no start must count a whole log again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFigures:
    """Stored statistics of one log. entries: all entries below this index are counted. form: version number of the row
    format. at: when they were stored, Unix milliseconds. rows: encoded rows by name. beside: encoded measurements of
    the process that stored them, which no log contains."""

    entries: int
    form: int
    at: int
    rows: Mapping[str, bytes] = field(default_factory=dict)
    beside: bytes = b""


class FiguresRegister(Protocol):
    """Promises: what `keep` stored is on stable storage as a whole when it returns, or not at all. A cache, not a
    record: the log is authoritative, and missing rows are counted from the log. Raises only Unavailable (`register.*`).
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
        """Store the changed rows of the log `origin`; None removes a row. anew: remove every earlier row of this log
        first. One write."""
        ...

    def kept(self, origin: str) -> KeptFigures | None:
        """Return everything stored for this log; None where nothing is."""
        ...

    def origins(self) -> tuple[str, ...]:
        """Return the logs for which statistics are stored, sorted."""
        ...
