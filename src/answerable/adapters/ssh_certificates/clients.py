"""The client processes that are open with each lease, so that whoever ends the lease ends them."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.abc import Process

    from answerable.core.lease.name import LeaseName


class OpenClients:
    """Shared by issuer and target. A client that went away tells its host, whose shell then ends the command."""

    def __init__(self) -> None:
        self._open: dict[LeaseName, set[Process]] = {}

    @contextmanager
    def kept(self, name: LeaseName, process: Process) -> Iterator[None]:
        """Count it for as long as the block runs."""
        self._open.setdefault(name, set()).add(process)
        try:
            yield
        finally:
            left = self._open[name]
            left.discard(process)
            if not left:
                del self._open[name]

    def cut(self, name: LeaseName) -> int:
        """Kill all of a lease, and say how many they were."""
        found = tuple(self._open.get(name, ()))
        for process in found:
            with suppress(ProcessLookupError):
                process.kill()
        return len(found)
