"""A Python that has read the product already, and forks a process from what it read whenever it is asked.

Run by `tests/probes/warm_starts.py`, never by hand: `python -P tests/probes/warm_python.py DOOR LISTENER MODULE…`, two
sockets and what to read before the product, `MODULE:FUNCTION` to be called. A forked process is one of its own, but did
not read its modules from disk: its parent is who asked, its words, three streams, environment, directory, session and
exit code are as if it had been started from nothing. One that itself starts programs has a child that forks for it.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import ctypes
import importlib
import io
import json
import os
import pkgutil
import resource
import runpy
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, TextIO

MESSAGE_BYTES_MAX = 1 << 20
PR_SET_MM, PR_SET_MM_MAP = 35, 14
SYS_CLONE3, CLONE_PARENT = 435, 0x8000
READ_AT_THE_START = ("LANG", "LC_", "LD_", "TZ", "MALLOC_", "OPENSSL_", "PYTHON", "PY_COLORS", "FORCE_COLOR")
"""How the names of variables begin that the interpreter, a library of C or a module reads when it is loaded."""
UNABLE = b"-1"
STARTING = {"up", "run", "benchmarks", "warm_demo.py"}
"""Commands, a folder of programs and a program that start programs of ours."""
SENT_TO_GROUPS = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
BESIDE = """anyio._backends._asyncio anyio._core._signals anyio._core._subprocesses encodings.ascii httpcore2
grpclib.reflection.service mcp.client.client mcp.server.mcpserver rich.logging truststore typer._click.decorators
uvicorn.lifespan.on uvicorn.protocols.http.httptools_impl uvloop""".split()
"""What libraries import when they are first used: an event loop and a client took 45 ms of each process."""


def read_modules(more: Iterable[str]) -> None:
    """Everything that the product may import when it runs, and more. Nothing of it does anything at import time."""
    sys.path.append(str(Path(__file__).parents[2] / "tools"))
    for name in more:
        found = pkgutil.resolve_name(name)
        if ":" in name:
            found()
    import answerable

    rooms = pkgutil.walk_packages(answerable.__path__, "answerable.")
    names = [one.name for one in rooms if ".testing" not in one.name and not one.name.endswith("__main__")]
    for name in (*names, *BESIDE):
        importlib.import_module(name)
    # A fork has only the thread that forks: with others, a lock may be held for ever.
    assert len(os.listdir("/proc/self/task")) == 1, "a module started a thread when it was imported"


def asked(door: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """What to start and its three streams; None when whoever asks has ended."""
    streams = array.array("i")
    text, extra, _, _ = door.recvmsg(MESSAGE_BYTES_MAX, socket.CMSG_LEN(3 * streams.itemsize))
    for _, _, content in extra:
        streams.frombytes(content[: len(content) - len(content) % streams.itemsize])
    return (json.loads(text), list(streams)) if text else None


def forked(door: socket.socket, streams: list[int]) -> bool:
    """A child of who asked, who is our parent. True in the new process, False in ours."""
    if process := sibling():
        close(streams)
        door.sendall(str(process).encode())
    return not process


def sibling() -> int:
    """As `os.fork`, but that the new process is a child of our parent (CLONE_PARENT of clone(2))."""
    python = ctypes.PyDLL(None)
    python.syscall.restype = ctypes.c_long
    how = (ctypes.c_uint64 * 8)(CLONE_PARENT)  # `struct clone_args`, which begins with the flags
    python.PyOS_BeforeFork()
    process: int = python.syscall(SYS_CLONE3, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
    if process:
        python.PyOS_AfterFork_Parent()
    else:
        python.PyOS_AfterFork_Child()
    return process


class Forking:
    """What is asked for, until there is something to run: in the new process, `request` is what."""

    def __init__(self, door: socket.socket, listener: socket.socket | None = None) -> None:
        self.request: tuple[dict[str, Any], list[int]] | None = None
        self._door = door
        self._able = show_as(sys.orig_argv, dict(os.environ))
        self._decisive = decisive(dict(os.environ))
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(door, selectors.EVENT_READ, self._by_parent)
        if listener is not None:
            self._waiting.register(listener, selectors.EVENT_READ, partial(self._called, listener))

    def goes_on(self) -> bool:
        """Answer who asks. False when whoever started us has ended, and in a new process."""
        return all(key.data() for key, _ in self._waiting.select())

    def leave(self) -> None:
        """In a new process: it has no part in what is asked for."""
        for one in [key.fileobj for key in self._waiting.get_map().values()]:
            if isinstance(one, socket.socket):
                one.close()
            elif isinstance(one, int):
                os.close(one)
        self._waiting.close()

    def _by_parent(self) -> bool:
        request = asked(self._door)
        if request is None:
            return False
        if not self._able:
            close(request[1])
            self._door.sendall(UNABLE)
        elif forked(self._door, request[1]):
            self.request = request
            return False
        return True

    def _called(self, listener: socket.socket) -> bool:
        door, _ = listener.accept()
        self._waiting.register(door, selectors.EVENT_READ, partial(self._by_stub, door))
        return True

    def _by_stub(self, door: socket.socket) -> bool:
        """It asks once. Its program is our child, and we tell it how that ended."""
        self._waiting.unregister(door)
        request = asked(door)
        if request is None or not self._able or decisive(request[0]["environment"]) != self._decisive:
            close(request[1] if request else ())
            door.close()
            return True
        process = os.fork()
        if process == 0:
            self.request = request
            return False
        close(request[1])
        # A stub that was killed meanwhile is seen to have left below.
        with contextlib.suppress(OSError):
            door.sendall(str(process).encode())
        ended = os.pidfd_open(process)
        self._waiting.register(door, selectors.EVENT_READ, partial(self._left, door, process))
        self._waiting.register(ended, selectors.EVENT_READ, partial(self._ended, door, process, ended))
        return True

    def _left(self, door: socket.socket, process: int) -> bool:
        """The stub was killed, and so is its program."""
        self._waiting.unregister(door)
        os.kill(process, signal.SIGKILL)
        return True

    def _ended(self, door: socket.socket, process: int, ended: int) -> bool:
        self._waiting.unregister(ended)
        os.close(ended)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        with contextlib.suppress(KeyError):
            self._waiting.unregister(door)
        with contextlib.suppress(OSError):
            door.sendall(str(code).encode())
        door.close()
        return True


def awaited(*doors: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What to run and its three streams, in a process of its own. Whoever called ends with who asks."""
    forking = Forking(*doors)
    while forking.goes_on():
        continue
    if forking.request is None:
        os._exit(0)
    forking.leave()
    return forking.request


def close(numbers: Iterable[int]) -> None:
    """What we keep open has no end for whoever reads it."""
    for one in numbers:
        os.close(one)


def decisive(environment: dict[str, str]) -> dict[str, str]:
    """What of an environment cannot be changed in a process that runs already."""
    free = ("PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
    found = {name: value for name, value in environment.items() if name.startswith(READ_AT_THE_START)}
    # With any of these, and without one, Python's text is UTF-8.
    alike = {name for name, value in found.items() if value in ("C", "POSIX", "C.UTF-8", "C.utf8")}
    return {name: value for name, value in found.items() if name not in {*free, *alike}}


def locale_of(environment: dict[str, str]) -> str:
    """Of text; empty where it is none, or that of no language."""
    found = [environment.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    chosen = next(filter(None, found), "")
    # What LC_ALL says is left as it is.
    return chosen if found[0] or chosen not in ("C", "POSIX") else ""


class Layout(ctypes.Structure):
    """`struct prctl_mm_map` of linux/prctl.h."""

    _fields_: ClassVar = [
        *(
            (name, ctypes.c_uint64)
            for name in ("code", "code_end", "data", "data_end", "heap", "heap_end", "stack")
        ),
        *((name, ctypes.c_uint64) for name in ("words", "words_end", "environment", "environment_end")),
        ("auxiliary", ctypes.c_void_p),
        ("auxiliary_bytes", ctypes.c_uint32),
        ("program", ctypes.c_int32),
    ]


def show_as(words: list[str], environment: dict[str, str]) -> bool:
    """Have the kernel show these of us, as it does where a process began with them. False where it cannot."""
    parts = (words, [f"{name}={value}" for name, value in environment.items()])
    shown = [b"".join(os.fsencode(one) + b"\0" for one in part) for part in parts]
    _shown[:] = [ctypes.create_string_buffer(b"".join(shown))]
    at = ctypes.addressof(_shown[0])
    ends = (at, at + len(shown[0]), at + len(shown[0]), at + len(shown[0]) + len(shown[1]))
    # Numbers as proc_pid_stat(5) has them; the first two are before the last parenthesis.
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    code, code_end, stack, data, data_end, heap = (
        int(stat[number - 3]) for number in (26, 27, 28, 45, 46, 47)
    )
    libc = ctypes.CDLL(None)
    libc.sbrk.restype = ctypes.c_void_p
    layout = Layout(code, code_end, data, data_end, heap, libc.sbrk(0), stack, *ends, None, 0, -1)
    return not libc.prctl(PR_SET_MM, PR_SET_MM_MAP, ctypes.byref(layout), ctypes.sizeof(layout), 0)


_shown: list[Any] = []


def belong(given: dict[str, Any]) -> None:
    """Be shown as what was asked for, in its session."""
    show_as(given["words"], given["environment"])
    if given["session"]:
        os.setsid()
    elif given["group"] >= 0:
        with contextlib.suppress(PermissionError):  # A group of another session, that of a stub.
            os.setpgid(0, given["group"])


def settle(given: dict[str, Any], streams: list[int], kept: int | None) -> None:
    """Make this process what was asked for. kept: what else stays open."""
    for number, one in enumerate(streams):
        os.dup2(one, number)
    close_all_but(kept)
    if given["twice"]:
        for number in range(3):
            os.set_inheritable(os.dup(number), True)
    for which, limits in given["limits"]:
        resource.setrlimit(which, limits)
    os.umask(given["umask"])
    os.chdir(given["directory"])
    os.environ.clear()
    os.environ.update(given["environment"])
    if not locale_of(given["environment"]):
        # The interpreter does this for a program that finds no locale (PEP 538).
        os.environ["LC_CTYPE"] = "C.UTF-8"
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        made = like(getattr(sys, name), number)
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)


def close_all_but(kept: int | None) -> None:
    """Nothing stays open but the three streams and this one."""
    if kept is not None:
        os.closerange(3, kept)
    os.closerange(3 if kept is None else kept + 1, os.sysconf("SC_OPEN_MAX"))


def like(ours: TextIO, number: int) -> TextIO:
    """A stream as the interpreter makes it at its start."""
    raw = open(number, "wb" if number else "rb", closefd=False)  # noqa: SIM115 - it lives as long as the process
    by_line = number == 2 or raw.isatty()
    return io.TextIOWrapper(raw, encoding=ours.encoding, errors=ours.errors, line_buffering=by_line)


def run(given: dict[str, Any], found_before: list[str]) -> None:
    """What the interpreter does with these words."""
    words = given["words"][1:]
    isolated = words[0] == "-P"
    words = words[1:] if isolated else words
    more = [one for one in given["environment"].get("PYTHONPATH", "").split(os.pathsep) if one]
    sys.path[:] = [*more, *found_before]
    if any((Path(one) / "sitecustomize.py").exists() for one in more if one not in found_before):
        # As `site` does, but late: it changes what is called through its module from here on. Debian's own was read.
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize")
    del sys.modules["__main__"]
    if words[0] == "-m":
        if not isolated:
            sys.path.insert(0, os.getcwd())
        sys.argv[:] = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        sys.argv[:] = words
        # Under both names it is what others unpickle: `multiprocessing` took note of the second when it was read.
        program = sys.modules["__main__"] = sys.modules["__mp_main__"] = ModuleType("__main__")
        program.__file__ = words[0]
        exec(compile(Path(words[0]).read_bytes(), words[0], "exec"), program.__dict__)  # noqa: S102


def end(code: object) -> None:
    """As the interpreter ends, but for taking apart all that it ever read: every page of that would be copied first, at
    three times the cost of the rest of a short process. Returns where only the interpreter says what is wrong."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    # Private, and the only way to what the interpreter does first: wait for threads, and end those of pools.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit((code or 0) & 0xFF)


def helpers() -> tuple[ModuleType, ModuleType]:
    """What asks for forks, as the tests do, and what keeps what was read. What is run later does not find them."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.probes import kept_pages, warm_children

    del sys.path[0]
    for name in [one for one in sys.modules if one.partition(".")[0] == "tests"]:
        del sys.modules[name]
    return warm_children, kept_pages


def beside(door: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """`awaited`, in a child of a process, of what that process asks for. What its group is sent is not for it."""
    close_all_but(door.fileno())
    # Not ignored: what is sent to a new process must not be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, SENT_TO_GROUPS)
    given, streams = awaited(door)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SENT_TO_GROUPS)
    belong(given)
    return given, streams


def serve(doors: Iterable[socket.socket], found_before: list[str], more: Iterable[str] = ()) -> None:
    """Fork until who started us has ended; in a new process, run what it was asked for. found_before: `sys.path`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # As an interpreter that has not begun yet.
    # A run of many files reads more, or has read all: it forks so often that a second of preparing for it is little.
    many = bool(more) or "answerable" in sys.modules
    children, pages = helpers()
    read_modules(more)
    pages.keep(for_many=many)
    given, streams = awaited(*doors)
    belong(given)
    kept = None
    # What is forked for one of these may be one of them, as `up` of the demo.
    while kept is None and STARTING & {*given["words"], *Path(given["words"][1]).parts[-2:]}:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        forking = os.fork()
        (theirs if forking else ours).close()
        if forking:
            children.are_forked_by(ours, forking)
            kept = ours.fileno()
        else:
            given, streams = beside(theirs)
    settle(given, streams, kept)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run(given, found_before)
    except SystemExit as error:
        end(error.code)
    else:
        end(None)


def main() -> None:
    door, listener, *more = sys.argv[1:]
    serve([socket.socket(fileno=int(one)) for one in (door, listener)], list(sys.path), more)


if __name__ == "__main__":
    main()
