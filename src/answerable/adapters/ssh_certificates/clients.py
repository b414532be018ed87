"""Track the client processes of each lease, so that ending a lease kills them."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.abc import Process

    from answerable.core.lease.name import LeaseName


class OpenClients:
    """Shared by issuer and target. When a client is killed, its host notices, and the shell there ends the command."""

    def __init__(self) -> None:
        self._open: dict[LeaseName, set[Process]] = {}

    @contextmanager
    def kept(self, name: LeaseName, process: Process) -> Iterator[None]:
        """Register a process while the block runs."""
        self._open.setdefault(name, set()).add(process)
        try:
            yield
        finally:
            left = self._open[name]
            left.discard(process)
            if not left:
                del self._open[name]

    def cut(self, name: LeaseName) -> int:
        """Kill all processes of a lease, and return how many there were."""
        found = tuple(self._open.get(name, ()))
        for process in found:
            with suppress(ProcessLookupError):
                process.kill()
        return len(found)
