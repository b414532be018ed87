"""What a forked process itself starts of ours is forked, too: by a child that was forked off it before it ran anything.

The product starts programs by its event loop, and uvloop forks by itself. So a forked process gets a uvloop that has
programs of ours forked for it, and starts all others as it always does. See `tests/probes/warm_python.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import subprocess
from asyncio.base_subprocess import BaseSubprocessTransport
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import uvloop

from tests.probes import warm_starts

PLAIN = dict.fromkeys(("preexec_fn", "pass_fds", "shell", "gids", "gid", "uid", "executable", "cwd", "env"))
"""How a process is started where its starter does not say."""


def are_forked_by(door: socket.socket, process: int) -> None:
    """From here on, in this process. It ends with us."""
    warm_starts.ask(door)
    uvloop.new_event_loop = Loop
    atexit.register(_end, door, process)


def _end(door: socket.socket, process: int) -> None:
    door.close()
    os.waitpid(process, 0)


class OfLoop(warm_starts.Warm):
    """Its process."""

    by_uvloop = True


class Loop(uvloop.Loop):
    """uvloop, but that what it starts of ours is forked."""

    async def subprocess_exec(
        self,
        protocol_factory: Callable[[], Any],
        *words: Any,
        stdin: Any = subprocess.PIPE,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        **how: Any,
    ) -> tuple[Any, Any]:
        """As every event loop does it."""
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        told = PLAIN | {"close_fds": True, "umask": -1, "start_new_session": False} | how
        if warm_starts.request(told | {"args": words}) is None:
            return await super().subprocess_exec(protocol_factory, *words, **streams, **how)
        waiter = self.create_future()
        protocol = protocol_factory()
        transport = Forked(self, protocol, words, False, bufsize=0, waiter=waiter, **streams, **how)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol


class Forked(BaseSubprocessTransport):
    """A process that was forked for a loop, as uvloop has its own: with sockets for pipes, and who waits for its end
    waits for nothing else."""

    def _start(
        self, args: Any, shell: bool, stdin: Any, stdout: Any, stderr: Any, bufsize: int, **how: Any
    ) -> None:
        self._over = asyncio.Event()
        given = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        with ExitStack() as ours, ExitStack() as theirs:
            ends = {}
            for name, wanted in given.items():
                if wanted == subprocess.PIPE:
                    ends[name], given[name] = socket.socketpair()
                    ours.enter_context(ends[name])
                    theirs.enter_context(given[name])
            self._proc = OfLoop(args, bufsize, shell=shell, **given, **how)
            for name, end in ends.items():
                setattr(self._proc, name, end)
            ended = os.pidfd_open(self._proc.pid)
            self._loop.add_reader(ended, self._has_ended, ended)
            ours.pop_all()

    def _has_ended(self, ended: int) -> None:
        self._loop.remove_reader(ended)
        os.close(ended)
        self._process_exited(self._proc.poll())
        self._over.set()

    async def _wait(self) -> int:
        await self._over.wait()
        return self._returncode

    def _check_proc(self) -> None:
        if self._proc is None or self._returncode is not None:
            raise ProcessLookupError
