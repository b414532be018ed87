"""Port: the pinned definition of each tool, current and past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.registry.tools.tool_pin import ToolPin


class ToolPinRegister(Protocol):
    """Promises: what `put` stored is on stable storage when it returns and every later `current` sees it; `current` is
    synchronous and does no I/O; nothing stored is ever changed or removed; of two pins put concurrently over the same
    one, in any processes, one is stored.

    The register verifies nothing. Raises only Unavailable (`register.*`) and, from `put`, Malformed.
    """

    def put(self, pin: ToolPin, *, over: str) -> None:
        """Put a pin into force in place of the definition `over`, or of none where `over` is empty. The same pin again
        changes nothing.

        Raises Malformed: `tool.pin_outdated` where another definition than `over` is in force, `tool.older` unless the
        pin is later than the one in force.
        """
        ...

    def current(self, server: str, tool: str) -> ToolPin | None:
        """Return the pin that was put last, or None; also None where that one cannot be read."""
        ...

    def is_unreadable(self, server: str, tool: str) -> bool:
        """Whether the pin that was put last cannot be read, which is not the same as a tool never reviewed. Without
        I/O."""
        ...

    def all(self) -> Sequence[ToolPin]:
        """Return the pins in force, by server and tool. Without I/O."""
        ...

    def history(self, server: str, tool: str) -> Sequence[ToolPin]:
        """Return every pin of a tool, newest first. May read."""
        ...
