"""Figures that were counted from logs, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.ports.figures_register import KeptFigures

if TYPE_CHECKING:
    from collections.abc import Mapping


class MemoryFiguresRegister:
    """Port FiguresRegister."""

    def __init__(self) -> None:
        self._kept: dict[str, KeptFigures] = {}

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
        """As the port says."""
        before = self._kept.get(origin)
        rows = dict(before.rows) if before is not None and not anew else {}
        for name, row in changed.items():
            if row is None:
                rows.pop(name, None)
            else:
                rows[name] = row
        self._kept[origin] = KeptFigures(entries=entries, form=form, at=at, rows=rows, beside=beside)

    def kept(self, origin: str) -> KeptFigures | None:
        """As the port says."""
        return self._kept.get(origin)

    def origins(self) -> tuple[str, ...]:
        """As the port says."""
        return tuple(sorted(self._kept))
