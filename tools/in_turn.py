"""A pytest plugin: the test files of this process are those that `run_tests.py` hands it, one after the other.

Several plain processes share one list, so that none is idle while another still has files; each file is collected once,
by whoever runs it. What happens is told as JSON lines on the same socket.

Several files that are handed at once run in a process that is forked for them, which tells what each of them ran
(`what_ran.py`). Nothing that a test file before them kept is there, so that what they need runs; what one of them runs
counts for those after it, too.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import contextmanager
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

import pytest
from _pytest.runner import pytest_sessionfinish as end_fixtures

import what_ran

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

SOCKET_OPTION = "--in-turn"
DONE = 64
"""How a forked process ends that told all: no test ends one like this."""
ENDED_WELL = (0, 1, 5)
"""What run_tests.py takes for the end of a run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The number of the socket, which is inherited."""
    parser.addoption(SOCKET_OPTION, type=int, required=True, help="socket of tools/run_tests.py")


def pytest_configure(config: pytest.Config) -> None:
    """From here on the files are asked for."""
    channel = socket.socket(fileno=config.getoption(SOCKET_OPTION))
    config.pluginmanager.register(InTurn(channel.makefile("rw", encoding="utf-8")), "files-in-turn")


class InTurn:
    """Collects and runs one file after the other. What is made once a session stays until the end; what a file made is
    gone before the next one is read."""

    def __init__(self, channel: IO[str]) -> None:
        self._channel = channel
        self._folders: dict[Path, pytest.Collector] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_directory(self, path: Path) -> Generator[None, pytest.Collector | None, Any]:
        """One node for each folder, however often it is looked into: the fixtures of its `conftest.py` belong to it."""
        found = yield
        return found and self._folders.setdefault(path, found)

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self) -> bool:
        """A folder is looked through for each of its files: all others are left alone, of which it is not asked."""
        return True

    def pytest_collection(self, session: pytest.Session) -> bool:
        """Nothing is collected ahead."""
        del session
        return True

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Until no file is left."""
        if functions := what_ran.functions():
            self._tell(before=functions)
        while handed := self._next():
            if isinstance(handed, str):
                self._run(session, handed)
            else:
                self._run_forked(session, handed)
        return True

    def _run(self, session: pytest.Session, path: str, **more: Callable[[], object]) -> None:
        """more: what is told of the file when it has run."""
        begun, used = time.monotonic(), _cpu_seconds()
        with _without_collections():
            items = session.perform_collect([path])
        for item, following in pairwise([*items, session]):
            # All that pytest asks of what follows is what it stands on: of a session, the session.
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
        told = {name: tell() for name, tell in more.items()}
        self._tell(done=path, seconds=time.monotonic() - begun, cpu=_cpu_seconds() - used, **told)

    def _run_forked(self, session: pytest.Session, paths: Sequence[str]) -> None:
        """Ends this process as that one ended, unless it told all."""
        from tests.probes import warm_starts

        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                warm_starts.start_cold()
                what_ran.anew()
                for path in paths:
                    self._run(
                        session,
                        path,
                        functions=what_ran.functions,
                        opened=what_ran.opened,
                        started=what_ran.started,
                    )
                end_fixtures(session)
                os._exit(DONE)
            except BaseException:
                traceback.print_exc()
                os._exit(pytest.ExitCode.INTERNAL_ERROR)
        try:
            _, status = os.waitpid(child, 0)
        except BaseException:
            os.kill(child, signal.SIGINT)
            raise
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        if code != DONE:
            os._exit(pytest.ExitCode.INTERNAL_ERROR if code in ENDED_WELL else code)

    def _next(self) -> str | list[str] | None:
        self._tell(ask=True)
        handed: str | list[str] | None = json.loads(self._channel.readline() or "null")
        return handed

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """For who has to say where a process ended."""
        self._tell(begun=nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A skip out of a group of tasks says why, as any other does."""
        report = yield
        error = call.excinfo and call.excinfo.value
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if report.skipped and isinstance(error, pytest.skip.Exception) and isinstance(report.longrepr, tuple):
            report.longrepr = (*report.longrepr[:2], f"Skipped: {error.msg}")
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What each test came to. That all is well wakes nobody: it is told with what comes next."""
        if report.passed and report.when != "call":
            return
        shown = report.longreprtext if report.failed else ""
        if report.skipped and isinstance(report.longrepr, tuple):
            shown = report.longrepr[2].removeprefix("Skipped: ")
        outcome = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome
        self._write(test=report.nodeid, when=report.when, outcome=outcome, shown=shown)
        if not report.passed:
            self._channel.flush()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be read is a failure."""
        if report.failed:
            self._tell(test=report.nodeid, when="collect", outcome="failed", shown=report.longreprtext)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """What was not run though it is there."""
        self._tell(deselected=[one.nodeid for one in items])

    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        """What was warned of, loud skips among it."""
        self._tell(warned=str(warning_message.message), test=nodeid)

    def _tell(self, **what: object) -> None:
        self._write(**what)
        self._channel.flush()

    def _write(self, **what: object) -> None:
        self._channel.write(json.dumps(what) + "\n")


@contextmanager
def _without_collections() -> Iterator[None]:
    """A collection while a file is parsed lets other threads run, and Python 3.11 takes a second parse beside it for a
    fault of the first (python/cpython#106905)."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _cpu_seconds() -> float:
    """Of this process and of those that it has seen end."""
    return sum(os.times()[:4])
