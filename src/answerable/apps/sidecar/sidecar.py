"""Run `answerable agent up`: enrol, start the agent, hold its keys, and end the instance with it.

The agent gets ANSWERABLE_GATEWAY, the address of a handle: a Unix socket that accepts only descendants of the sidecar.
No key and no token is in the agent's environment, its arguments or a file, so a copy of the address is worthless.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from answerable.apps.sidecar.attesting import by_the_kernel
from answerable.apps.sidecar.child import Child, passed_on
from answerable.apps.sidecar.handle import Handle
from answerable.apps.sidecar.identity import Identity
from answerable.apps.sidecar.keeping import Keeper
from answerable.apps.sidecar.pace import spread
from answerable.errors import AnswerableError, Unavailable, Unverified, shown
from answerable.errors.codes.services import SIDECAR_OTHER_AGENT
from answerable.sdk.enrolment import EnrolmentClient
from answerable.sdk.gateway_address import open_client
from answerable.wiring import guarding

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    import httpx2
    from anyio.abc import TaskGroup

    from answerable.apps.sidecar.attesting import Attesting
    from answerable.sdk.enrolment import Enrolled, MadeOf

TERM_SECONDS_MAX: Final = 10.0
"""Time for the agent to end after SIGTERM before it is killed."""
END_SECONDS_MAX: Final = 5.0
"""Time limit for the last request, which ends the instance."""
MEASURE_SECONDS: Final = 60.0
_OF_TERMINAL: Final = (signal.SIGINT, signal.SIGQUIT)
"""Signals that a terminal sends to the agent itself."""

_log: Final = logging.getLogger("answerable.sidecar")


def _silent(text: str) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarOptions:
    """Options of the sidecar.

    agent: name that the server must assign. attesting: makes the attestation document when it is needed, so that a
    token is read as late as possible. tls: from `client_tls`. measure: returns the project's measurements; blocking.
    mandate: for messages that name none. say: prints a message for people.
    """

    agent: str
    gateway: str
    command: tuple[str, ...]
    tls: ssl.SSLContext | None = None
    attesting: Attesting = field(default_factory=by_the_kernel)
    measure: Callable[[], MadeOf] | None = None
    mandate: str = ""
    say: Callable[[str], None] = _silent
    measure_seconds: float = MEASURE_SECONDS


async def run_sidecar(options: SidecarOptions) -> int:
    """Run the agent and return its exit code. Raises the error family if it was never started."""
    if not guarding.without_core_dumps():
        options.say("core dumps cannot be turned off on this platform")
    client, base = open_client(options.gateway, tls=options.tls)
    async with client:
        return await _Sidecar(options, client, base).run()


class _Sidecar:
    def __init__(self, options: SidecarOptions, client: httpx2.AsyncClient, base: str) -> None:
        self._options = options
        self._client = client
        self._base = base
        self._identity = Identity(EnrolmentClient(client, base), mandate=options.mandate)
        self._made_of: MadeOf | None = None
        self._directory = Path()
        self._child = 0
        self._subs = 0
        self._sub_identities: set[Identity] = set()

    async def run(self) -> int:
        self._made_of = await self._measured()
        enrolled = await self._identity.enrol(self._options.attesting, made_of=self._made_of)
        with ExitStack() as until_ended:
            try:
                if enrolled.agent != self._options.agent:
                    raise SIDECAR_OTHER_AGENT(
                        f"the measured process is agent {shown(enrolled.agent)}, expected {shown(self._options.agent)}"
                    )
                # Only after enrolment: the server may have to inspect this process's program, and cannot after this.
                if not guarding.without_tracing():
                    self._options.say(
                        "other processes of this user can read this process's memory: its keys are not protected from "
                        "them"
                    )
                guarding.adopting_orphans()
                self._told_drift(enrolled.drift)
                self._options.say(f"{enrolled.instance} ({enrolled.source}, {enrolled.grade})")
                terminal = os.isatty(0)
                own = _OF_TERMINAL if terminal else ()
                # A signal after the agent's end, such as a second one, must not prevent the end of the instance.
                taken = anyio.open_signal_receiver(*passed_on(terminal=terminal), *own)
                return await self._beside_agent(until_ended.enter_context(taken))
            finally:
                await self._end()

    async def _beside_agent(self, signals: AsyncIterator[signal.Signals]) -> int:
        self._directory = Path(tempfile.mkdtemp(prefix="answerable-", dir=_runtime_directory()))
        code = 0
        try:
            async with anyio.create_task_group() as tasks:
                handle = Handle(
                    path=self._directory / "gateway",
                    client=self._client,
                    base=self._base,
                    identity=self._identity,
                    sub_agent=lambda: self._sub_agent(tasks),
                )
                await tasks.start(handle.serve)
                child = Child(self._options.command, handle=handle.address)
                self._child = child.pid
                tasks.start_soon(_pass_on, signals, child)
                tasks.start_soon(self._name_process)
                tasks.start_soon(self._keeper(self._identity, self._enrolled_anew).keep)
                tasks.start_soon(self._watch_project)
                tasks.start_soon(_reap, child)
                code = await child.ended()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _first_of_ours(group) from group
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
        return code

    async def _sub_agent(self, tasks: TaskGroup) -> Handle:
        """Make another handle, with an identity of its own below this one."""
        identity = await self._identity.sub_agent()
        self._subs += 1
        handle = Handle(
            path=self._directory / f"sub-{self._subs}",
            client=self._client,
            base=self._base,
            identity=identity,
        )
        await tasks.start(handle.serve)
        tasks.start_soon(self._keep_sub_agent, handle)
        return handle

    async def _keep_sub_agent(self, handle: Handle) -> None:
        self._sub_identities.add(handle.identity)
        try:
            async with anyio.create_task_group() as keeping:
                again = partial(handle.identity.enrol_anew_below, self._identity)
                keeping.start_soon(self._keeper(handle.identity, again).keep)
                await handle.ended.wait()
                keeping.cancel_scope.cancel()
        finally:
            self._sub_identities.discard(handle.identity)
        with anyio.move_on_after(END_SECONDS_MAX):
            try:
                await handle.identity.end()
            except AnswerableError as error:
                _log.warning("a sub-agent could not be ended: %s", error.message)

    def _keeper(self, identity: Identity, again: Callable[[], Awaitable[Enrolled]]) -> Keeper:
        return Keeper(identity=identity, again=again, made_of=lambda: self._made_of, say=self._options.say)

    async def _enrolled_anew(self) -> Enrolled:
        enrolled = await self._identity.enrol_anew(self._options.attesting, made_of=self._made_of)
        self._told_drift(enrolled.drift)
        return enrolled

    async def _name_process(self) -> None:
        """Name the started process to the server, which has the kernel measure it if the manifest states the agent's
        program."""
        if self._made_of is not None:
            self._made_of = self._beside(self._made_of)
        if not self._identity.enrolled.wanted:
            return
        try:
            enrolled = await self._identity.renew(made_of=self._made_of)
            self._told_drift(enrolled.drift)
        except Unavailable as error:
            _log.warning("the agent is not measured by the kernel until the next renewal: %s", error.message)
        except AnswerableError as error:
            self._options.say(error.message)

    async def _watch_project(self) -> None:
        """Measure the project periodically, and renew at once when a measurement differs."""
        if self._options.measure is None:
            return
        while True:
            await anyio.sleep(spread(self._options.measure_seconds, random.random()))  # noqa: S311 - no secret
            try:
                found = await self._measured()
            except AnswerableError as error:
                _log.warning("the project could not be measured: %s", error.message)
                continue
            if found == self._made_of:
                continue
            try:
                enrolled = await self._identity.renew(made_of=found)
                self._told_drift(enrolled.drift)
            except Unavailable as error:
                _log.warning("what was measured could not be reported yet: %s", error.message)
                continue
            except AnswerableError as error:
                if isinstance(error, Unverified):
                    self._identity.doubt()
                self._options.say(error.message)
            self._made_of = found
            await self._tell_of_sub_agents()

    async def _tell_of_sub_agents(self) -> None:
        """Renew the sub-agents: they consist of the same files, so their last reported measurements are outdated,
        too."""
        for identity in tuple(self._sub_identities):
            try:
                await identity.renew(made_of=self._made_of)
            except AnswerableError as error:
                # A difference was recorded all the same; a failed report is repeated at the next renewal.
                _log.info("a sub-agent was not renewed: %s", error.message)

    async def _measured(self) -> MadeOf | None:
        """Measure the project, with the agent's process once it runs: another program in it is another measurement."""
        measure = self._options.measure
        if measure is None:
            return None
        return self._beside(await anyio.to_thread.run_sync(measure))

    def _beside(self, found: MadeOf) -> MadeOf:
        return replace(found, process=self._child, program=_program_of(self._child)) if self._child else found

    def _told_drift(self, drift: tuple[str, ...]) -> None:
        if drift:
            names = ", ".join(drift)
            self._options.say(f"differs from the manifest of {shown(self._options.agent)}: {names}")

    async def _end(self) -> None:
        """End the instance. If the server cannot be reached, the instance expires by itself."""
        with anyio.move_on_after(END_SECONDS_MAX, shield=True):
            try:
                await self._identity.end()
            except AnswerableError as error:
                _log.warning("the instance could not be ended: %s", error.message)


def _program_of(pid: int) -> str:
    """Return the target of the kernel's link to the process's program; empty if it cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


async def _pass_on(signals: AsyncIterator[signal.Signals], child: Child) -> None:
    terminal = os.isatty(0)
    async for number in signals:
        if terminal and number in _OF_TERMINAL:
            continue
        child.signal(number)
        if number == signal.SIGTERM:
            await anyio.sleep(TERM_SECONDS_MAX)
            child.signal(signal.SIGKILL)


async def _reap(child: Child) -> None:
    while True:
        await anyio.sleep(5.0)
        child.reap_orphans()


def _runtime_directory() -> str | None:
    """Return the user's private in-memory directory if there is one; None for the default temporary directory."""
    found = os.environ.get("XDG_RUNTIME_DIR", "")
    return found if found and os.path.isdir(found) and os.access(found, os.W_OK) else None


def _first_of_ours(group: BaseExceptionGroup[BaseException]) -> BaseException:
    for error in group.exceptions:
        found = _first_of_ours(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, AnswerableError):
            return found
    return group
