"""Work on many pieces in several processes, with the results in order and only a few of them in memory."""

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
"""Results that may lie ready, beside those being worked on."""


def in_order(
    work: Callable[[Task], Result], tasks: Sequence[Task], *, processes: int
) -> Generator[Result, None, None]:
    """The results of `work` on each task, in their order. processes: 1 works here, and starts none.

    work, tasks and results must be such as can be pickled. Closing the iterator ends the processes, whatever they are
    at. Raises OSError where `work` does, and Unavailable (`verify.process`) when a process ended otherwise.
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
    """Processes with a pipe to each. A pipe carries one task at a time, so that neither side waits for the other."""

    def __init__(self, work: Callable[[Task], object], size: int) -> None:
        self.size = size
        self.idle: list[Connection] = []
        self._busy: dict[Connection, int] = {}
        self._processes: list[SpawnProcess] = []
        # A child that is forked would share locks and open files with us; a fresh one shares nothing.
        context = get_context("spawn")
        for _ in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, work), daemon=True)
            process.start()
            theirs.close()
            self.idle.append(ours)
            self._processes.append(process)

    def give(self, number: int, task: object) -> None:
        """Let one that is idle work on a task."""
        pipe = self.idle.pop()
        try:
            pipe.send(task)
        except BrokenPipeError:
            raise VERIFY_PROCESS() from None
        self._busy[pipe] = number

    def results(self) -> dict[int, Result]:
        """Wait for at least one; by number of the task."""
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
        """End them all."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        for pipe in (*self.idle, *self._busy):
            pipe.close()


def _serve(pipe: Connection, work: Callable[[Task], object]) -> None:
    # Ctrl-C goes to the whole group of processes; the first one ends the others.
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
