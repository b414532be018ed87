"""Port: which definition of each tool is in force, and those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.registry.tools.tool_pin import ToolPin


class ToolPinRegister(Protocol):
    """Promises: what `put` took is on stable storage when it returns and every later `current` sees it; `current` is
    synchronous and does no I/O; nothing that was put is ever changed or removed; of two that are put at once over the
    same one, in whatever processes, one is taken.

    It believes what it is given. Raises only Unavailable (`register.*`) and, from `put`, Malformed.
    """

    def put(self, pin: ToolPin, *, over: str) -> None:
        """Put it into force in place of the definition `over`, or of none where that is empty. The very same pin again
        changes nothing.

        Raises Malformed: `tool.pin_outdated` where another definition is in force than `over`, `tool.older` unless it
        is later than the one in force.
        """
        ...

    def current(self, server: str, tool: str) -> ToolPin | None:
        """The one that was put last, or None; also where that one cannot be read."""
        ...

    def is_unreadable(self, server: str, tool: str) -> bool:
        """Whether the one that was put last cannot be read: this tool is not one that nobody looked at yet. Without
        I/O."""
        ...

    def all(self) -> Sequence[ToolPin]:
        """Those in force, by server and tool. Without I/O."""
        ...

    def history(self, server: str, tool: str) -> Sequence[ToolPin]:
        """Every one of a tool, newest first. May read."""
        ...
