"""Starts of the product from a Python that has read it already: most of what a start costs is reading modules.

Whoever starts `python -m answerable.main …`, or one of our servers in Python, in a process of its own gets one that
`tests/probes/warm_python.py` forked. It is our own child, as one that was started from nothing. So is what a forked
process itself starts of ours: see `tests/probes/warm_children.py`. In `./dev prove`, and wherever
ANSWERABLE_COLD_STARTS is set, all start from nothing, as they do for people; so does what is started in a special way.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import inspect
import json
import os
import resource
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tests.probes import warm_python
from tests.probes.warm_python import UNABLE, decisive

ROOT = Path(__file__).resolve().parents[2]
COLD = "ANSWERABLE_COLD_STARTS"
OF_OURS = (ROOT / "benchmarks", ROOT / "tests", ROOT / "tools/test_worker.py")
READ = "answerable.main"
"""A module that only who has read the product has."""
SERVERS = ("examples", "servers")
"""In whatever copy of the examples."""
MESSAGE_BYTES_MAX = 100_000
END_SECONDS = 1.0
SET = (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)
"""Limits that the product sets, and that decide nothing when a process starts."""
LEFT = tuple(
    value for name, value in vars(resource).items() if name.startswith("RLIMIT_") and value not in SET
)

Cold = subprocess.Popen
_lock = threading.Lock()
_door: list[socket.socket] = []
_forking: list[int] = []
_PROGRAMS: set[Path] = set()


def install() -> None:
    """From here on, in this process."""
    if sys.platform == "linux" and not os.environ.get(COLD):
        _start_by(Warm)


def installed() -> bool:
    """Whether starts of this process are warm."""
    return subprocess.Popen is Warm


def ask(door: socket.socket) -> None:
    """From here on, in this process, a forking Python that runs already."""
    _door[:] = [door]
    _start_by(Warm)


def start_cold() -> None:
    """In a forked process: what forks for its parent makes children of that."""
    _door.clear()
    _forking.clear()
    _start_by(Cold)


def _start_by(kind: type[subprocess.Popen[Any]]) -> None:
    """Have whoever starts a process in this one use this class."""
    vars(subprocess)["Popen"] = kind


def begin(*more: str) -> None:
    """Start the forking Python and do not wait for it, where it is likely to be asked. more: modules that it reads
    besides the product."""
    with _lock:
        if installed() and not _door:
            _open(more)


def fork_from_here() -> None:
    """Where this process was forked from one that had read the product, a child of it is the forking Python."""
    if READ not in sys.modules:
        return
    ours, theirs, listener = _doors()
    forking = os.fork()
    if forking:
        theirs.close()
        listener.close()
        _keep(ours, forking)
        return
    for one in map(int, os.listdir("/proc/self/fd")):
        if one > 2 and one not in (theirs.fileno(), listener.fileno()):
            with contextlib.suppress(OSError):
                os.close(one)
    # What is to be done when our parent ends is not ours to do, nor has it installed anything in what we fork.
    atexit.unregister(shutil.rmtree)
    _start_by(Cold)
    for name in [one for one in sys.modules if one.partition(".")[0] == "tests"]:
        del sys.modules[name]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    warm_python.serve([theirs, listener], [one for one in sys.path[1:] if one not in given])


def line(*words: str) -> list[str]:
    """These words of a Python program, for a shell: they stand for a process that is forked, where any is."""
    if not installed():
        return [sys.executable, *words]
    begin()
    return [
        sys.executable,
        "-I",
        "-S",
        str(ROOT / "tests/stand_ins/warm_stub.py"),
        _place(),
        sys.executable,
        *words,
    ]


@cache
def program(text: str) -> list[str]:
    """What starts a program in Python that imports the product, of which a forked process has read all: its words come
    after. A program that looks at what is imported is started by `-c`."""
    path = Path(_place()).with_name(f"program-{len(_PROGRAMS)}.py").resolve()
    path.write_text(text, encoding="utf-8")
    _PROGRAMS.add(path)
    return [sys.executable, str(path)]


class Warm(Cold):  # type: ignore[type-arg]
    """A process, forked where that comes to the same. by_uvloop: whether uvloop would start it, which
    leaves to a process each of its streams a second time."""

    by_uvloop = False

    def _execute_child(self, *given: Any) -> None:
        how = inspect.signature(Cold._execute_child).bind(self, *given).arguments  # type: ignore[attr-defined]
        wanted = request(how)
        if wanted is not None:
            wanted["twice"] = self.by_uvloop
        inner = (how["p2cread"], how["c2pwrite"], how["errwrite"])
        streams = [one if one >= 0 else number for number, one in enumerate(inner)]
        process = None if wanted is None else _forked(wanted, streams)
        if process is None:
            super()._execute_child(*given)  # type: ignore[misc]
            return
        self.pid = process
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(how[end] for end in ends))  # type: ignore[attr-defined]


def request(how: dict[str, Any]) -> dict[str, Any] | None:
    """What the forking Python is to be asked; None for what is to start from nothing. how: given to `subprocess`."""
    words = how["args"]
    special = ("preexec_fn", "pass_fds", "shell", "gids")
    if any(how[name] for name in special) or any(how[name] not in (None, -1) for name in ("gid", "uid")):
        return None
    if isinstance(words, str | bytes | os.PathLike) or not how["close_fds"] or how["umask"] != -1:
        return None
    words = [os.fsdecode(one) for one in words]
    if words[0] != sys.executable or how["executable"] not in (None, words[0]) or not _is_ours(words[1:]):
        return None
    if _limits(LEFT) != _LEFT:
        return None
    found = os.environ if how["env"] is None else how["env"]
    environment = {os.fsdecode(name): os.fsdecode(value) for name, value in found.items()}
    if environment.get(COLD) or decisive(environment) != decisive(_KEPT):
        return None
    group = how.get("process_group")
    return {
        "words": words,
        "environment": environment,
        "directory": os.path.abspath(os.fsdecode(how["cwd"] or ".")),
        "session": bool(how["start_new_session"]),
        "group": -1 if group is None else group,
        "umask": _umask(),
        "limits": _limits(SET),
        "twice": False,
    }


def _limits(which: Iterable[int]) -> list[tuple[int, tuple[int, int]]]:
    return [(one, resource.getrlimit(one)) for one in which]


_LEFT = _limits(LEFT)
# Unbuffered streams are the caller's wish for pytest, if they are one at all.
_KEPT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _is_ours(words: list[str]) -> bool:
    words = words[1:] if words[:1] == ["-P"] else words
    if words[:2] in (["-m", "answerable"], ["-m", "answerable.main"]):
        return True
    if not words or not words[0].endswith(".py"):
        return False
    path = Path(words[0]).resolve()
    return path.parts[-3:-1] == SERVERS or path in _PROGRAMS or any(map(path.is_relative_to, OF_OURS))


def _umask() -> int:
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("Umask:"))
    return int(line.split()[1], 8)


def _forked(wanted: dict[str, Any], streams: list[int]) -> int | None:
    """Its process number, once it is our child. None where the kernel would not show it as started like this."""
    with _lock:
        if not _door:
            _open()
        (door,) = _door
        numbers = array.array("i", streams)
        door.sendmsg(
            [json.dumps(wanted).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers.tobytes())]
        )
        answer = door.recv(100)
        assert answer, (
            "the forking Python has ended: what it said stands above; ANSWERABLE_COLD_STARTS=1 does without"
        )
        return None if answer == UNABLE else int(answer)


@cache
def _place() -> str:
    """Where the forking Python listens."""
    folder = tempfile.mkdtemp(prefix="warm-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return os.path.join(folder, "door")


def _doors() -> tuple[socket.socket, socket.socket, socket.socket]:
    """Our end and that of a forking Python, and where it listens."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE_BYTES_MAX * 2)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(_place())
    listener.listen(64)
    return ours, theirs, listener


def _open(more: Iterable[str] = ()) -> None:
    """Start the forking Python. It ends when we do."""
    ours, theirs, listener = _doors()
    with theirs, listener:
        numbers = (theirs.fileno(), listener.fileno())
        # Its errors are seen; what it is asked for has streams of its own.
        forking = Cold(
            [sys.executable, "-P", str(ROOT / "tests/probes/warm_python.py"), *map(str, numbers), *more],
            pass_fds=numbers,
            stdin=subprocess.DEVNULL,
            stdout=2,
            env=_KEPT,
        )
    _keep(ours, forking.pid)


def _keep(door: socket.socket, forking: int) -> None:
    _door.append(door)
    _forking.append(forking)
    atexit.register(end, os.getpid())


def end(owner: int) -> None:
    """The forking Python ends. What it used is counted with what this process used, where it ends in time: what was
    forked may hold the door open. owner: the process that it serves."""
    if not _forking or os.getpid() != owner:
        return
    _door.pop().close()
    with contextlib.suppress(OSError):
        ended = os.pidfd_open(_forking[-1])
        if select.select([ended], [], [], END_SECONDS)[0]:
            os.waitpid(_forking[-1], 0)
        os.close(ended)
    _forking.clear()
