"""The server's side of the process that answers searches: start it, tell it what is durable, and ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import anyio

from answerable.adapters.search_http import HttpSearchProcess
from answerable.errors import Unavailable
from answerable.errors.codes.search import SEARCH_DOWN, SEARCH_OFF, SEARCH_UNREACHABLE
from answerable.flows.recording.rounds import until_round
from answerable.ports.search_process import (
    QUESTION_SECONDS_MAX,
    AccountsQuestion,
    IncidentQuestion,
    IncidentsQuestion,
    LogsQuestion,
    NameQuestion,
    Question,
    ScopeQuestion,
    StoryQuestion,
    TraceQuestion,
    TreeQuestion,
    UnderQuestion,
)
from answerable.wiring.kept_process import KeptProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import ByteSendStream

    from answerable.api.incident_answers import IncidentAnswer, IncidentsAnswer
    from answerable.api.log_answers import FollowedLog
    from answerable.api.search_answers import (
        AccountsAnswer,
        NameAnswer,
        ScopeAnswer,
        SearchAnswer,
        StoryAnswer,
    )
    from answerable.core.lease.own_account import DeclaredTarget
    from answerable.ports.search_process import LogsTold, TraceAnswer, TreeAnswer, UnderAnswer
    from answerable.wiring.search_settings import SearchSettings

A = TypeVar("A")

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

    async def search(self, words: Sequence[str], *, limit: int, cursor: str) -> SearchAnswer:
        """Return a page of hits. Raises as `_asked`."""
        return await self._asked(
            lambda entries: self._asks.search(
                Question(words=tuple(words), limit=limit, cursor=cursor, entries=entries)
            )
        )

    async def story(self, words: Sequence[str], *, limit: int) -> StoryAnswer:
        """Return the story of names. Raises as `_asked`."""

        async def ask(entries: int) -> StoryAnswer:
            known = await self._declared()
            question = StoryQuestion(words=tuple(words), limit=limit, entries=entries, declared=known)
            return await self._asks.story(question)

        return await self._asked(ask)

    async def name(self, name: str) -> NameAnswer:
        """Return what a name stands for. Raises as `_asked`."""

        async def ask(entries: int) -> NameAnswer:
            known = await self._declared()
            return await self._asks.name(NameQuestion(name=name, entries=entries, declared=known))

        return await self._asked(ask)

    async def accounts(self, target: str) -> AccountsAnswer:
        """Return the accounts at all targets, or at one. Raises as `_asked`."""

        async def ask(entries: int) -> AccountsAnswer:
            known = await self._declared()
            return await self._asks.accounts(AccountsQuestion(target=target, entries=entries, declared=known))

        return await self._asked(ask)

    async def scope(self, words: Sequence[str], *, rows: int) -> ScopeAnswer:
        """Return how much was out of scope. Raises as `_asked`."""
        return await self._asked(
            lambda entries: self._asks.scope(ScopeQuestion(words=tuple(words), rows=rows, entries=entries))
        )

    async def logs(self, *, findings: int = 0) -> LogsTold:
        """Return how far the logs of targets were read. Raises as `_asked`."""
        found = await self._asked(
            lambda entries: self._asks.logs(LogsQuestion(entries=entries, findings=findings))
        )
        self._logs = found.logs.items
        return found

    async def under(self, *, manifest: str, prompt: str, model: str, limit: int, cursor: str) -> UnderAnswer:
        """Return a page of actions under a manifest. Raises as `_asked`."""
        return await self._asked(
            lambda entries: self._asks.under(
                UnderQuestion(
                    manifest=manifest, prompt=prompt, model=model, limit=limit, cursor=cursor, entries=entries
                )
            )
        )

    async def tree(self, mandate: str) -> TreeAnswer:
        """Return what was handed on below a mandate. Raises as `_asked`."""
        return await self._asked(
            lambda entries: self._asks.tree(TreeQuestion(mandate=mandate, entries=entries))
        )

    async def trace(self, ends: Sequence[int]) -> TraceAnswer:
        """Return whether effects can be traced to people, without starting the process for that. Raises as `_asked`,
        `search.off` also where it has not been started yet."""
        if not self._is_wanted.is_set():
            raise SEARCH_OFF()
        return await self._asked(
            lambda entries: self._asks.trace(TraceQuestion(ends=tuple(ends), entries=entries))
        )

    async def incidents(self) -> IncidentsAnswer:
        """Return all incidents. Raises as `_asked`."""
        return await self._asked(lambda entries: self._asks.incidents(IncidentsQuestion(entries=entries)))

    async def incident(self, name: str) -> IncidentAnswer:
        """Return one incident. Raises as `_asked`."""
        return await self._asked(
            lambda entries: self._asks.incident(IncidentQuestion(name=name, entries=entries))
        )

    async def _asked(self, ask: Callable[[int], Awaitable[A]]) -> A:
        """Ask the process, which is started if it does not run. ask: called with the number of durable entries.

        Raises Malformed and Refused as it does, and Unavailable: `search.off`, `search.down`, `search.late`,
        `search.failed`, `search.busy`.
        """
        if self._process is None:
            raise SEARCH_OFF()
        self._is_wanted.set()
        with anyio.move_on_after(QUESTION_SECONDS_MAX):
            while True:
                try:
                    return await ask(self._log.size)
                except Unavailable as failed:
                    if failed.code != SEARCH_UNREACHABLE.id:
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
