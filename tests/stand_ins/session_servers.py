"""Servers that stay for the whole run of tests, and what is made once for all of them.

A broker takes every account of its kind on a server for its own, so a server is lent to one test file at a time. What
the file before left on it (databases, accounts, virtual hosts) is dropped before the next gets its own. As many stay
as files need at once.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import itertools
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from run_folder import SERVER_VARIABLE, VARIABLE, end_servers, made, remove


class SessionServer(Protocol):
    """begin: make and start it in its folder. clean: drop what files have made on it; raises where it cannot be lent
    any more."""

    def begin(self) -> None: ...

    def clean(self) -> None: ...


Server = TypeVar("Server", bound=SessionServer)


def folder_of_run() -> Path:
    """That of `tools/run_tests.py`; of this process alone where it was started without."""
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else _own_folder()


@functools.cache
def _own_folder() -> Path:
    folder, owner = made(), os.getpid()

    def end() -> None:
        # A process that was forked off has it too, and not to end.
        if os.getpid() == owner:
            remove(folder)

    atexit.register(end)
    return folder


def environment_of(folder: Path, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """That a server of this folder is started with, so that it ends with the run. given: in place of our own."""
    return {**(os.environ if given is None else given), SERVER_VARIABLE: str(folder)}


@contextlib.contextmanager
def lent(kind: str, at: Callable[[Path], Server]) -> Iterator[Server]:
    """A server of this kind that nobody else uses meanwhile, clean. at: the server of a folder, begun or not."""
    for number in itertools.count():
        place = folder_of_run() / f"{kind}-{number}"
        with _locked(place.with_suffix(".lock"), waits=False) as is_ours:
            if is_ours:
                yield _ready(place, at)
                return


def _ready(place: Path, at: Callable[[Path], Server]) -> Server:
    begun = place / "begun"
    if begun.exists():
        server = at(place)
        try:
            server.clean()
        except Exception as failed:
            # Whoever had it broke it: said, for such a file needs a server of its own.
            warnings.warn(f"{place.name} could not be cleaned, and is started anew: {failed!r}", stacklevel=2)
        else:
            return server
    end_servers(place)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o755)
    server = at(place)
    server.begin()
    begun.touch()
    return server


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder in which `make` put everything, once in a run: who needs it first makes it, the others wait. They only
    read it.

    Raises what `make` raises; who asks next makes it anew.
    """
    folder = folder_of_run() / name
    whole = folder.with_suffix(".whole")
    with _locked(folder.with_suffix(".lock"), waits=True):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o755)
            make(folder)
            whole.touch()
    return folder


def copied(name: str, make: Callable[[Path], None], to: Path) -> None:
    """What `make` makes in a folder, made once in a run and copied. It may give that folder to another user."""
    subprocess.run(["cp", "-a", made_once(name, make), to], check=True)


@contextlib.contextmanager
def _locked(path: Path, *, waits: bool) -> Iterator[bool]:
    """Whether it is ours now; a process that ends in the middle of it lets it go."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
