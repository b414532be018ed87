"""Run the agent as a child process: start it, signal it and wait for it."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from answerable.errors import shown
from answerable.errors.codes.services import SIDECAR_COMMAND

if TYPE_CHECKING:
    from collections.abc import Sequence

GATEWAY_VARIABLE: Final = "ANSWERABLE_GATEWAY"
"""Environment variable with the address of the agent's handle; it contains no secret."""
NOT_STARTED: Final = 127
_SIGNALLED: Final = 128


class Child:
    """The process of COMMAND. It inherits the standard streams and the environment, plus the address of its handle."""

    def __init__(self, command: Sequence[str], *, handle: str) -> None:
        """Start the process. Raises Unavailable (`sidecar.command`)."""
        environment = {**os.environ, GATEWAY_VARIABLE: handle}
        try:
            self._process = subprocess.Popen(list(command), env=environment, close_fds=True)
        except OSError as error:
            raise SIDECAR_COMMAND(f"cannot start {shown(command[0])}: {error.strerror}") from None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the process; no effect if it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end and return the exit code as a shell reports it: 128 plus the number of the signal that ended
        it."""
        code = await anyio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
        return _SIGNALLED - code if code < 0 else code

    def reap_orphans(self) -> None:
        """Reap adopted processes that have ended, so that no zombies remain."""
        for pid in _children():
            if pid != self.pid and _is_zombie(pid):
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def passed_on(*, terminal: bool) -> tuple[signal.Signals, ...]:
    """Return the signals to forward. A terminal sends its own to the child, too, so those must not arrive twice."""
    always = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    return always if terminal else (*always, signal.SIGINT, signal.SIGQUIT)


def _children() -> list[int]:
    with suppress(OSError, ValueError), open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
        return [int(pid) for pid in file.read().split()]
    return []


def _is_zombie(pid: int) -> bool:
    with suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read(4096).rpartition(b")")[2].split()[0] == b"Z"
    return False
