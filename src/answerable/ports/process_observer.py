"""Port: facts about a local process, as reported by the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from answerable.core.identity.workload.attestation import selector


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """One process at one instant. process: `boot-id:pid:start`, which is never reused.

    path, sha256, cgroup: empty when they could not be measured reliably. foreign: the namespaces that differ from ours
    (`mount`, `user`, `root`); then its path is only its own name for the file, proves nothing, and is left out; in
    another user namespace it may name any file as its program, so there is no SHA-256 either. parent: pid of its
    parent. ancestors: names of its ancestor processes, nearest first, as far as they could be read; descent_known:
    whether these are all of them. agent_up: it runs the same program as this process, and its command line, which a
    process can change about itself, says that it is our own `answerable agent up`, with nothing in its environment that
    would have led it to other code.
    """

    process: str
    uid: int
    gid: int
    path: str = ""
    sha256: str = ""
    cgroup: str = ""
    foreign: tuple[str, ...] = ()
    parent: int = 0
    ancestors: tuple[str, ...] = ()
    descent_known: bool = True
    agent_up: bool = False

    def selectors(self) -> tuple[str, ...]:
        """Return the measured facts as selectors, sorted."""
        found = {"uid": str(self.uid), "gid": str(self.gid), "sha256": self.sha256, "cgroup": self.cgroup}
        if not self.foreign:
            found["path"] = self.path
        if "user" in self.foreign:
            del found["sha256"]
        return tuple(sorted(text for key, value in found.items() for text in selector("unix", key, value)))


class ProcessObserver(Protocol):
    """Promises: facts come from the kernel, about exactly this process, all from one period without an exec: where the
    process ended, its pid was reused, or it executed another program meanwhile, there are no facts. What cannot be
    measured reliably is left out, never guessed. Blocking: it may read a whole program; called from a worker thread.

    Raises Unverified (`process.gone`, `process.changed`, `process.foreign`) and Unavailable (`process.unavailable`).
    """

    def observe(self, pid: int, *, started: int, pidfd: int | None = None) -> ProcessFacts:
        """Measure a process. started: start time in clock ticks since boot, read at first contact with the process
        (`started`). pidfd: a descriptor of the same process, where the caller has one; the caller keeps ownership."""
        ...

    def started(self, pid: int) -> int:
        """Return the process's current start time, in clock ticks since boot."""
        ...

    def is_alive(self, process: str) -> bool:
        """Whether the process of this name (`ProcessFacts.process`) still runs. Never raises."""
        ...
