"""Hold pinned tool definitions in memory until the process ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.registry.tools.tool_pin import check_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.registry.tools.tool_pin import ToolPin


class MemoryToolPinRegister:
    """Implements ports.tool_pins.ToolPinRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pins: dict[tuple[str, str], tuple[ToolPin, ...]] = {}

    def put(self, pin: ToolPin, *, over: str) -> None:
        place = (pin.server, pin.tool)
        with self._lock:
            kept = self._pins.get(place, ())
            if kept and kept[0] == pin:
                return
            check_order(pin, kept[0] if kept else None, over=over)
            self._pins[place] = (pin, *kept)

    def current(self, server: str, tool: str) -> ToolPin | None:
        kept = self._pins.get((server, tool))
        return kept[0] if kept else None

    def is_unreadable(self, server: str, tool: str) -> bool:
        """Always False: pins in memory can always be read."""
        return False

    def all(self) -> Sequence[ToolPin]:
        return tuple(self._pins[place][0] for place in sorted(self._pins))

    def history(self, server: str, tool: str) -> Sequence[ToolPin]:
        return self._pins.get((server, tool), ())
