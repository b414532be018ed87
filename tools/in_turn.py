"""A pytest plugin: the test files of this process are those that `run_tests.py` hands it, one after the other.

Several plain processes share one list, so that none is idle while another still has files; each file is collected once,
by whoever runs it. What happens is told as JSON lines on the same socket.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import time
from contextlib import contextmanager
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

SOCKET_OPTION = "--in-turn"


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

    def pytest_collection(self, session: pytest.Session) -> bool:
        """Nothing is collected ahead."""
        del session
        return True

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Until no file is left."""
        while path := self._next():
            begun, used = time.monotonic(), _cpu_seconds()
            with _without_collections():
                items = session.perform_collect([path])
            for item, following in pairwise([*items, session]):
                # All that pytest asks of what follows is what it stands on: of a session, the session.
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
            self._tell(done=path, seconds=time.monotonic() - begun, cpu=_cpu_seconds() - used)
        return True

    def _next(self) -> str | None:
        self._tell(ask=True)
        path: str | None = json.loads(self._channel.readline() or "null")
        return path

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
        """What each test came to, and what it took."""
        shown = report.longreprtext if report.failed else ""
        if report.skipped and isinstance(report.longrepr, tuple):
            shown = report.longrepr[2].removeprefix("Skipped: ")
        outcome = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome
        self._tell(test=report.nodeid, when=report.when, outcome=outcome, shown=shown)

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
        self._channel.write(json.dumps(what) + "\n")
        self._channel.flush()


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
