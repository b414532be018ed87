"""Run a function over many tasks in several processes, with ordered results and bounded memory."""

from __future__ import annotations

import signal
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final, TypeVar, cast

from answerable.errors.codes.ledger import VERIFY_PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

Task = TypeVar("Task")
Result = TypeVar("Result")

_WAITING_MAX: Final = 2
"""Finished results that may wait, in addition to the tasks in progress."""


def in_order(
    work: Callable[[Task], Result], tasks: Sequence[Task], *, processes: int
) -> Generator[Result, None, None]:
    """Yield the results of `work` for each task, in order.

    processes: with 1, the work runs in this process. work, tasks and results must be picklable. Closing the iterator
    ends the processes at once. Raises OSError if `work` does, and Unavailable (`verify.process`) if a process ended
    otherwise.
    """
    if processes <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    team = _Team(work, min(processes, len(tasks)))
    try:
        ready: dict[int, Result] = {}
        given = told = 0
        while told < len(tasks):
            while team.idle and given < min(len(tasks), told + team.size + _WAITING_MAX):
                team.give(given, tasks[given])
                given += 1
            ready.update(team.results())
            while told in ready:
                yield ready.pop(told)
                told += 1
    finally:
        team.end()


class _Team:
    """Processes with a pipe to each. A pipe carries one task at a time, so that neither side blocks on the other."""

    def __init__(self, work: Callable[[Task], object], size: int) -> None:
        self.size = size
        self.idle: list[Connection] = []
        self._busy: dict[Connection, int] = {}
        self._processes: list[SpawnProcess] = []
        # A forked child would share locks and open files with this process; a spawned one shares nothing.
        context = get_context("spawn")
        for _ in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, work), daemon=True)
            process.start()
            theirs.close()
            self.idle.append(ours)
            self._processes.append(process)

    def give(self, number: int, task: object) -> None:
        """Give a task to an idle process."""
        pipe = self.idle.pop()
        try:
            pipe.send(task)
        except BrokenPipeError:
            raise VERIFY_PROCESS() from None
        self._busy[pipe] = number

    def results(self) -> dict[int, Result]:
        """Wait for at least one result. Returns the results by task number."""
        found = {}
        for pipe in cast("list[Connection]", wait(list(self._busy))):
            try:
                result = pipe.recv()
            except (EOFError, OSError):
                raise VERIFY_PROCESS() from None
            if isinstance(result, OSError):
                raise result
            found[self._busy.pop(pipe)] = result
            self.idle.append(pipe)
        return found

    def end(self) -> None:
        """Terminate all processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        for pipe in (*self.idle, *self._busy):
            pipe.close()


def _serve(pipe: Connection, work: Callable[[Task], object]) -> None:
    # Ctrl-C reaches the whole process group; the first process ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            result = work(task)
        except OSError as error:
            result = error
        pipe.send(result)
