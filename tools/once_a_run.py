"""What is made once for all test processes of a run: who needs it first makes it, the others wait and read it.

`run_tests.py` makes a folder for each run and names it in the environment. A process that finds none is a run of its
own.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

RUN_FOLDER = "ANSWERABLE_RUN_FOLDER"


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name, in which `make` put everything. Nobody may write there afterwards.

    Raises what `make` raises; what it left is then removed, and who asks next makes it anew.
    """
    folder = _run_folder() / name
    whole = folder.with_suffix(".whole")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


@contextmanager
def run_folder() -> Iterator[Path]:
    """A new one, also for programs of other accounts to pass through. It goes with the block, whatever lies in it."""
    folder = Path(tempfile.mkdtemp(prefix="run-"))
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _run_folder() -> Path:
    if given := os.environ.get(RUN_FOLDER):
        return Path(given)
    kept = ExitStack()
    atexit.register(kept.close)
    return kept.enter_context(run_folder())
