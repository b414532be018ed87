"""A Python that has read the product already, and forks a process from what it read whenever it is asked.

Run by `tests/warm_starts.py`, never by hand: `python -P tests/warm_python.py SOCKET_NUMBER`. A forked process is one of
its own in every way but that it did not read its modules from disk: its parent is who asked, its three streams,
environment, directory, session and exit code are as if it had been started from nothing.
"""

from __future__ import annotations

import array
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

MESSAGE_BYTES_MAX = 1 << 20
READ_BEFORE = (
    "mcp.client.client",
    "mcp.server.mcpserver",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
"""Besides the whole of the product."""


def read_modules() -> None:
    """Everything that the product may import when it runs. It does nothing at import time, as the house rules say."""
    import answerable

    rooms = pkgutil.walk_packages(answerable.__path__, "answerable.")
    names = [one.name for one in rooms if ".testing" not in one.name and not one.name.endswith("__main__")]
    for name in (*names, *READ_BEFORE):
        importlib.import_module(name)
    # A fork has only the thread that forks: with others, a lock may be held for ever.
    assert len(os.listdir("/proc/self/task")) == 1, "a module started a thread when it was imported"
    gc.collect()
    gc.freeze()


def asked(door: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """What to start and its three streams; None when whoever asks has ended."""
    streams = array.array("i")
    text, extra, _, _ = door.recvmsg(MESSAGE_BYTES_MAX, socket.CMSG_LEN(3 * streams.itemsize))
    for _, _, content in extra:
        streams.frombytes(content[: len(content) - len(content) % streams.itemsize])
    return (json.loads(text), list(streams)) if text else None


def forked(door: socket.socket, given: dict[str, Any], streams: list[int]) -> bool:
    """True in the new process, False in ours.

    Who forked it ends at once, so that its parent is who asked: it had itself named for that (`warm_starts._adopting`).
    """
    (told, tells), (waits, goes) = os.pipe(), os.pipe()
    between = os.fork()
    if between == 0:
        mine = os.fork()
        if mine:
            os.write(tells, str(mine).encode())
            os._exit(0)
        os.close(goes)
        os.read(waits, 1)
        settle(given, streams)
        return True
    for one in (tells, waits, *streams):
        os.close(one)
    os.waitpid(between, 0)
    os.close(goes)
    with os.fdopen(told) as answer:
        door.sendall(answer.read().encode())
    return False


def settle(given: dict[str, Any], streams: list[int]) -> None:
    """Make this process what was asked for."""
    if given["session"]:
        os.setsid()
    elif given["group"] >= 0:
        os.setpgid(0, given["group"])
    for number, one in enumerate(streams):
        os.dup2(one, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.umask(given["umask"])
    os.chdir(given["directory"])
    os.environ.clear()
    os.environ.update(given["environment"])
    sys.stdin = sys.__stdin__ = like(sys.stdin, 0, "r")
    sys.stdout = sys.__stdout__ = like(sys.stdout, 1, "w")
    sys.stderr = sys.__stderr__ = like(sys.stderr, 2, "w", by_line=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def like(ours: TextIO, number: int, mode: str, *, by_line: bool = False) -> TextIO:
    """A stream as the interpreter makes it at its start."""
    raw = open(number, f"{mode}b", closefd=False)  # noqa: SIM115 - it lives as long as the process
    by_line = by_line or raw.isatty()
    return io.TextIOWrapper(raw, encoding=ours.encoding, errors=ours.errors, line_buffering=by_line)


def run(given: dict[str, Any], found_before: list[str]) -> None:
    """What the interpreter does with these words."""
    words = given["words"]
    isolated = words[0] == "-P"
    words = words[1:] if isolated else words
    more = [one for one in given["environment"].get("PYTHONPATH", "").split(os.pathsep) if one]
    sys.path[:] = [*more, *found_before]
    del sys.modules["__main__"]
    if words[0] == "-m":
        if not isolated:
            sys.path.insert(0, os.getcwd())
        sys.argv[:] = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        sys.argv[:] = words
        sys.modules["__main__"] = ModuleType("__main__")
        runpy.run_path(words[0], run_name="__main__")


def main() -> None:
    door = socket.socket(fileno=int(sys.argv[1]))
    found_before = list(sys.path)
    read_modules()
    # As an interpreter that has not begun yet.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    while (request := asked(door)) is not None and not forked(door, *request):
        continue
    if request is not None:
        run(request[0], found_before)


if __name__ == "__main__":
    main()
