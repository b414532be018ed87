"""Measure a local process from `/proc`: user, program path and digest, cgroup, namespaces and ancestors, all of the
same program in the same process.

Limits: this cannot see code that others supply to a program, as script of an interpreter, or by a debugger or a
preloaded library at start. Such a process is measured as that program. A path or digest therefore identifies a caller
only together with a user.
"""

from __future__ import annotations

import os
import select
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from answerable.adapters.linux_process.proc_files import ProcDirectory, pid_of
from answerable.adapters.linux_process.program import Program, ProgramReader
from answerable.errors.codes.workloads import (
    PROCESS_CHANGED,
    PROCESS_FOREIGN,
    PROCESS_GONE,
    PROCESS_UNAVAILABLE,
)
from answerable.ports.process_observer import ProcessFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.linux_process.own_command import OwnCommand

PROC: Final = "/proc"

_NAMESPACES: Final = (("mount", "ns/mnt"), ("user", "ns/user"), ("root", "root/"))
ANCESTORS_MAX: Final = 256
_DEAD: Final = frozenset("ZXx")


class LinuxProcessObserver:
    """Implements ports.ProcessObserver on Linux. proc: mount point of procfs, or another directory tree in tests.
    command: identifies our own `agent up`; without it, no process counts as running it."""

    def __init__(
        self,
        *,
        proc: str = PROC,
        wall_nanos: Callable[[], int] = time.time_ns,
        command: OwnCommand | None = None,
    ) -> None:
        """Read the values of this process to compare others with. Raises Unavailable (`process.unavailable`) without
        procfs."""
        self._proc = proc
        self._command = command
        self._programs = ProgramReader(wall_nanos=wall_nanos)
        try:
            with open(f"{proc}/sys/kernel/random/boot_id", encoding="ascii") as content:
                self._boot = content.read(64).strip()
            with ProcDirectory(proc, os.getpid()) as ourselves:
                self._ours = {name: ourselves.place(link) for name, link in _NAMESPACES}
            self._overflow = self._unmapped_ids()
        except (OSError, ValueError) as error:
            raise PROCESS_UNAVAILABLE(f"cannot read process information: {type(error).__name__}") from None

    def observe(self, pid: int, *, started: int, pidfd: int | None = None) -> ProcessFacts:
        try:
            with ProcDirectory(self._proc, pid) as process:
                self._check_alive(process, pid, started, pidfd)
                facts, program = self._measured(process, pid, started)
                # A second, cheap measurement: ids, program and namespaces must not have changed in between.
                again, program_again = self._measured(process, pid, started)
                parent, agent_up = process.parent(), self._runs_command(process, facts)
                self._check_alive(process, pid, started, pidfd)
        except (OSError, ValueError, KeyError, IndexError):
            raise PROCESS_GONE("the process has ended, or its PID belongs to another process") from None
        if facts != again or program.identity != program_again.identity:
            raise PROCESS_CHANGED("the process changed while it was measured")
        ancestors, whole = self._ancestors(parent)
        # If the chain of ancestors is incomplete, `agent_up` must not hold.
        return replace(
            facts, parent=parent, ancestors=ancestors, descent_known=whole, agent_up=agent_up and whole
        )

    def started(self, pid: int) -> int:
        """Return the process's start time, in clock ticks since boot. Raises Unverified (`process.gone`)."""
        try:
            with ProcDirectory(self._proc, pid) as process:
                return process.life()[1]
        except (OSError, ValueError, IndexError):
            raise PROCESS_GONE("the process has ended, or its PID belongs to another process") from None

    def program(self, pid: int, started: int) -> str:
        """Return the path of the process's program as its `exe` link names it; empty if it cannot be read reliably. For
        display only: it proves nothing. Never raises."""
        try:
            with ProcDirectory(self._proc, pid) as process:
                link = process.link("exe")
                return link if process.life()[1] == started else ""
        except (OSError, ValueError, IndexError):
            return ""

    def is_alive(self, process: str) -> bool:
        boot, _, rest = process.partition(":")
        pid, _, started = rest.partition(":")
        if boot != self._boot or not pid.isdecimal() or not started.isdecimal():
            return False
        try:
            with ProcDirectory(self._proc, int(pid)) as directory:
                state, start = directory.life()
        except (OSError, ValueError, IndexError):
            return False
        return state not in _DEAD and start == int(started)

    def _check_alive(self, process: ProcDirectory, pid: int, started: int, pidfd: int | None) -> None:
        """Raise Unverified (`process.gone`) unless this is still the same process and it runs."""
        state, start = process.life()
        if state in _DEAD or start != started:
            raise PROCESS_GONE("the process has ended, or its PID belongs to another process")
        if pidfd is not None:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            # Readable means ended (pidfd_open(2)); until then the kernel does not reuse the pid.
            if pid_of(pidfd) != pid or poll.poll(0):
                raise PROCESS_GONE("the process has ended, or its PID belongs to another process")

    def _measured(self, process: ProcDirectory, pid: int, started: int) -> tuple[ProcessFacts, Program]:
        status = process.status()
        if status.group != pid:
            raise PROCESS_FOREIGN("the PID belongs to a thread, not to a process")
        if status.uid in self._overflow or status.gid in self._overflow:
            # The overflow id, which stands for every user without a number in our user namespace, so it identifies
            # nobody.
            raise PROCESS_FOREIGN(
                "the process belongs to a user who is not mapped into this server's user namespace"
            )
        foreign = tuple(name for name, link in _NAMESPACES if self._is_foreign(process, name, link))
        program = self._programs.read(process)
        if "user" in foreign:
            # In a user namespace, its owner can set the `exe` link of a process: PR_SET_MM_MAP, prctl(2).
            program = Program(identity=program.identity)
        facts = ProcessFacts(
            process=f"{self._boot}:{pid}:{started}",
            uid=status.uid,
            gid=status.gid,
            path=program.path,
            sha256=program.sha256,
            cgroup=process.cgroup(),
            foreign=foreign,
        )
        return facts, program

    def _runs_command(self, process: ProcDirectory, facts: ProcessFacts) -> bool:
        if self._command is None or facts.foreign or not facts.sha256:
            return False
        try:
            return self._command.is_run_by(process)
        except (OSError, ValueError):
            return False

    def _ancestors(self, parent: int) -> tuple[tuple[str, ...], bool]:
        """Return the names of the ancestor processes, nearest first, and whether the list is complete up to the first
        visible process."""
        found: list[str] = []
        try:
            while parent and len(found) < ANCESTORS_MAX:
                with ProcDirectory(self._proc, parent) as process:
                    found.append(f"{self._boot}:{parent}:{process.life()[1]}")
                    parent = process.parent()
        except (OSError, ValueError, IndexError):
            return tuple(found), False
        return tuple(found), not parent

    def _is_foreign(self, process: ProcDirectory, name: str, link: str) -> bool:
        """Whether the process is in another namespace than we are. A namespace that we may not read counts as
        foreign."""
        try:
            return process.place(link) != self._ours[name]
        except PermissionError:
            return True

    def _unmapped_ids(self) -> frozenset[int]:
        """Return the overflow uid and gid; empty if our user namespace maps every id."""
        with open(f"{self._proc}/self/uid_map", encoding="ascii") as content:
            if content.read(4096).split() == ["0", "0", "4294967295"]:
                return frozenset()
        found = set()
        for name in ("overflowuid", "overflowgid"):
            with open(f"{self._proc}/sys/kernel/{name}", encoding="ascii") as content:
                found.add(int(content.read(16)))
        return frozenset(found)
