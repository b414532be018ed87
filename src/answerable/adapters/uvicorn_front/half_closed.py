"""Tell clients that only send nothing more from clients that have left: both end their direction of the connection.

The kernel of a client that has closed its socket refuses whatever it is sent then, and reports it at once on a Unix
socket. An event loop that has read the end of the stream waits for neither.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

INTERIM: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Sent to find out: clients of HTTP/1.1 ignore it (RFC 9110, 15.2), and the kernel of a client that left refuses it."""
KNOWN: Final = hasattr(select, "epoll")
"""Whether this platform reports it: Linux does."""


class HalfClosed:
    """Calls `gone` when both directions of a connection have ended. Holds a descriptor until `end`."""

    __slots__ = ("_ends", "_loop")

    def __init__(self, connected: Any, loop: asyncio.AbstractEventLoop, gone: Callable[[], object]) -> None:
        self._loop = loop
        self._ends = select.epoll(1)
        # No events: the kernel then reports nothing but errors and the end of both directions.
        self._ends.register(connected.fileno(), 0)
        loop.add_reader(self._ends.fileno(), gone)

    def end(self) -> None:
        """Watch no longer."""
        self._loop.remove_reader(self._ends.fileno())
        self._ends.close()
