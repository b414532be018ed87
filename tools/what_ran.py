"""What a test file ran: functions of the product that began, files of the checkout that were opened, programs.

Noted from `begin` on in this process, in all its threads. A function is noted when it first begins, and costs nothing
later (`sys.monitoring`, from Python 3.12 on; before, functions are not noted and `functions` is None).

Why no library: pytest-testmon traces lines by coverage.py, and knows no child process (tarpas/pytest-testmon#192), no
result kept from an earlier test, and no file that is opened.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCES = f"{ROOT}/src/"
TOOL = 4
STARTS = ("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "subprocess.Popen")
LISTS = ("os.listdir", "os.scandir")
READERS = ("<frozen importlib", f"{os.sep}_pytest{os.sep}")
"""Where Python and pytest read modules: what these open and list is imported."""
_monitoring: Any = getattr(sys, "monitoring", None)
_functions: set[tuple[str, str]] = set()
_opened: set[str] = set()
_started: list[str] = []


def begin() -> None:
    """From here on, in this process and in what is forked from it."""
    if _monitoring and _monitoring.get_tool(TOOL) is None:
        begins = _monitoring.events.PY_START
        _monitoring.use_tool_id(TOOL, "what ran")
        _monitoring.register_callback(TOOL, begins, _began)
        _monitoring.set_events(TOOL, begins)


def functions() -> list[tuple[str, str]] | None:
    """Those that began since `begin` or `anew`, each with its module's dotted name first; None where nobody knows."""
    if not _monitoring:
        return None
    return sorted((_module(file), name.partition(".<locals>")[0]) for file, name in _functions.copy())


def anew() -> None:
    """In a forked process: what began before is noted when it begins again, and so is what is opened and started."""
    if _monitoring:
        _functions.clear()
        _monitoring.restart_events()
    sys.addaudithook(_audited)


def opened() -> list[str]:
    """Files of the checkout that were opened, and folders that were listed, which end with a slash, since this was
    asked last; modules of the product since `anew`, as their text may be kept."""
    told = sorted(_opened.copy())
    _opened.intersection_update(one for one in told if one.startswith("src/") and one.endswith(".py"))
    return told


def started() -> bool:
    """Whether a program was started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return bool(_started or used.ru_minflt)


def _began(code: Any, _: int) -> object:
    if code.co_filename.startswith(SOURCES):
        _functions.add((code.co_filename, code.co_qualname))
    return _monitoring.DISABLE


def _module(file: str) -> str:
    return file.removeprefix(SOURCES).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _audited(event: str, given: tuple[object, ...]) -> None:
    if event in STARTS:
        _started.append(event)
    elif event == "open" or event in LISTS:
        path = given[0] if given and given[0] is not None else "."
        if isinstance(path, str | bytes | os.PathLike) and not _reads_modules():
            name = os.fsdecode(path)
            # What `os.open` is given, of which no mode is told, may lie in an open folder: nobody can tell.
            if event in LISTS or given[1] is not None or "/" in name:
                _note(os.path.abspath(name))


def _note(path: str) -> None:
    inside = os.path.relpath(path, ROOT) if path.startswith(f"{ROOT}/") or path == str(ROOT) else ".dev/"
    if not inside.startswith(".dev/") and "__pycache__" not in inside and os.path.exists(path):
        _opened.add(f"{inside}/" if os.path.isdir(path) else inside)


def _reads_modules() -> bool:
    frame = sys._getframe(2)
    return any(one in frame.f_code.co_filename for one in READERS)
