"""The server's side of the process that answers searches: start it, tell it what is durable, and ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import anyio
from msgspec.structs import replace

from answerable.adapters.search_http import HttpSearchProcess
from answerable.errors import Unavailable
from answerable.errors.codes.search import SEARCH_DOWN, SEARCH_ENDED, SEARCH_OFF, SEARCH_UNREACHABLE
from answerable.flows.recording.rounds import until_round
from answerable.ports.search_process import (
    LOGS,
    QUESTION_SECONDS_MAX,
    TRACE,
    A,
    AskedOfAccounts,
    LogsQuestion,
    Q,
    QuestionKind,
    TraceQuestion,
)
from answerable.wiring.kept_process import ANSWERING_SECONDS, KeptProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import ByteSendStream

    from answerable.api.log_answers import FollowedLog
    from answerable.core.lease.own_account import DeclaredTarget
    from answerable.ports.search_process import LogsTold, TraceAnswer
    from answerable.wiring.search_settings import SearchSettings

TELL_SECONDS: Final = 1.0
"""Interval at which the process is told of new entries; a question names them itself."""
LOOK_SECONDS: Final = 10.0
"""Interval at which the size of the ledger is looked at, before the process is started."""


async def _nothing_declared() -> tuple[DeclaredTarget, ...]:
    return ()


class SizedLog(Protocol):
    """A log, of which its size alone is needed here."""

    @property
    def size(self) -> int:
        """Number of durable entries."""
        ...


class SearchSide:
    """The server's side. Nothing else of the server waits for it, and its failures stop no action."""

    def __init__(
        self,
        settings: SearchSettings,
        log: SizedLog,
        declared: Callable[[], Awaitable[tuple[DeclaredTarget, ...] | None]] = _nothing_declared,
        *,
        at_once: bool = False,
    ) -> None:
        """declared: returns what the broker declares of its targets; None where it cannot be asked. at_once: whether
        the process is needed before anybody asks."""
        self._settings, self._log, self._declared, self._at_once = settings, log, declared, at_once
        self._asks = HttpSearchProcess(settings.socket)
        self._process: KeptProcess | None = None
        self._is_wanted = anyio.Event()
        self._ends = 0
        self._logs: tuple[FollowedLog, ...] = ()

    async def kept(self, command: tuple[str, ...]) -> None:
        """Run the process until cancelled, from the first question or from so many entries on that finding one takes
        long. command: starts it."""
        if not command or not self._settings.enabled:
            return
        self._process = KeptProcess(
            name="process that answers searches",
            command=command,
            socket=self._settings.socket,
            ended=self._ended,
            feed=self._tell,
        )
        if self._at_once:
            self._is_wanted.set()
        while self._log.size < self._settings.start_entries and not self._is_wanted.is_set():
            with anyio.move_on_after(until_round(LOOK_SECONDS)):
                await self._is_wanted.wait()
        self._is_wanted.set()
        await self._process.run()

    async def logs(self, *, findings: int = 0) -> LogsTold:
        """Return how far the logs of targets were read. Raises as `ask`."""
        found = await self.ask(LOGS, LogsQuestion(findings=findings))
        self._logs = found.logs.items
        return found

    async def trace(self, ends: Sequence[int]) -> TraceAnswer:
        """Return whether effects can be traced to people, without starting the process for that. Raises as `ask`,
        `search.off` also where it has not been started yet."""
        if not self._is_wanted.is_set():
            raise SEARCH_OFF()
        return await self.ask(TRACE, TraceQuestion(ends=tuple(ends)))

    async def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        """Ask the process, which is started if it does not run, of all entries that are durable.

        Raises Malformed and Refused as it does, and Unavailable: `search.off`, `search.down`, `search.late`,
        `search.failed`, `search.busy`; `search.ended` where it ended twice before it answered.
        """
        if self._process is None:
            raise SEARCH_OFF()
        self._is_wanted.set()
        with anyio.move_on_after(QUESTION_SECONDS_MAX):
            if isinstance(question, AskedOfAccounts):
                question = replace(question, declared=await self._declared())
            has_ended = False
            while True:
                try:
                    return await self._asks.ask(kind, replace(question, entries=self._log.size))
                except Unavailable as failed:
                    # Perhaps another question ended it, or a person; not a third one, if it was this.
                    if failed.code == SEARCH_ENDED.id and not has_ended:
                        has_ended = True
                        await anyio.sleep(ANSWERING_SECONDS)
                    elif failed.code != SEARCH_UNREACHABLE.id:
                        raise
                await self._process.answering()
        raise SEARCH_DOWN()

    async def told(self) -> tuple[str, int, str]:
        """Return the state of the process: `off`, `waiting` for the first question, `ok` or `alarm`; up to how many
        entries its index is complete; and why it is in alarm."""
        if self._process is None:
            return "off", 0, ""
        if not self._is_wanted.is_set():
            return "waiting", 0, ""
        try:
            return "ok", (await self._asks.reach()).entries, ""
        except Unavailable as failed:
            ends = f"; it ended {self._ends} times" if self._ends else ""
            return "alarm", 0, f"{failed.message}{ends}"

    def told_of_logs(self) -> tuple[FollowedLog, ...]:
        """Return what was told last of the logs of targets."""
        return self._logs

    def _ended(self) -> None:
        self._ends += 1

    async def _tell(self, pipe: ByteSendStream) -> None:
        """Write the number of durable entries, one line whenever it has changed."""
        told = -1
        while True:
            size = self._log.size
            if size != told:
                await pipe.send(b"%d\n" % size)
                told = size
            await anyio.sleep(until_round(TELL_SECONDS))
