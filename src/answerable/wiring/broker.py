"""Run the broker: its state in its own directory and its listener, in its own process and, if configured, its own
account."""

from __future__ import annotations

import json
import logging
import os
import pwd
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import to_thread

from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.uvicorn_front import FrontLimits, listen, run, serve, set_collector_apart
from answerable.core.identity.keys.keys import public_key
from answerable.errors import AnswerableError, shown
from answerable.errors.codes.leases import BROKER_KEYS, BROKER_USER, TARGET_FAULTS
from answerable.flows.leases.lease_desk import BrokerState, DeskTarget, LeaseLimits
from answerable.flows.leases.lease_writer import LeaseWriter
from answerable.flows.leases.revoke_lease import begin, told
from answerable.flows.leases.rotate_due import keep_rotating
from answerable.flows.leases.secret_desk import keep_looking, look
from answerable.flows.leases.settle_leases import keep_settling, reopen
from answerable.flows.recording.rounds import until_round
from answerable.plain_file import read_plain
from answerable.wiring.broker_secrets import broker_secrets, built_targets, secret_desk, state_folder
from answerable.wiring.error_groups import first_of_ours
from answerable.wiring.kept_process import stop_at_eof, stop_on_signal
from answerable.wiring.left_threads import run_left
from answerable.wiring.own_files import broker_faults, require_own
from answerable.wiring.target_files import SUFFIX, checked_targets, own_accounts, read_targets
from answerable.wiring.target_kinds import PluginKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from answerable.adapters.uvicorn_front import Listeners
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.lease.own_account import OwnAccount
    from answerable.flows.leases.secret_desk import SecretState
    from answerable.targets.kind import BuiltTarget
    from answerable.wiring.setting_tree import Settings
    from answerable.wiring.target_files import TargetFile

__all__ = ["Broker", "opened_broker", "run", "serve_broker", "set_collector_apart"]

KEYS_BYTES_MAX: Final = 65_536
LOOK_SECONDS: Final = 1.0
CLOSE_SECONDS_MAX: Final = 3.0
DAY_MS: Final = 86_400_000
SOCKET_MODE: Final = 0o666
"""The socket admits anybody: the kernel identifies the peer, and only the users named in the settings are answered."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """What the broker's endpoints need. kinds: of targets, by name. own: its own accounts at each."""

    desk: BrokerState
    writer: LeaseWriter
    keys: Callable[[], tuple[PublicKey, ...]]
    uids: frozenset[int]
    kinds: Mapping[str, str]
    own: Mapping[str, tuple[OwnAccount, ...]]


@dataclass(frozen=True, slots=True)
class ReadyTargets:
    """The targets of one state of the target files, built. seen: fingerprint of that state."""

    seen: object
    built: list[tuple[TargetFile, BuiltTarget]]


@contextmanager
def opened_broker(settings: Settings, ready: ReadyTargets) -> Iterator[Broker]:
    """Open the broker over its own directory. No target is contacted yet.

    Raises Unavailable: `register.*`, `broker.user`, `files.not_own`.
    """
    clock, entropy = SystemClock(), SystemEntropy()
    limits = _limits(settings)
    built, found = ready.built, [one for one, _ in ready.built]
    targets = {
        one.name: DeskTarget.of(
            its.issuer, its.target, limits, its.rights, _by(one), sessions_max=its.sessions_max
        )
        for one, its in built
    }
    settings.broker.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    state_folder(settings).mkdir(mode=0o700, exist_ok=True)
    require_own(broker_faults(settings))
    register = SqliteLeaseRegister(settings.broker.directory / "leases.db")
    try:
        writer = LeaseWriter(register)
        yield Broker(
            desk=BrokerState(
                name=settings.broker.name,
                register=register,
                writer=writer,
                clock=clock,
                entropy=entropy,
                targets=targets,
                limits=limits,
                secrets=secret_desk(settings, found, broker_secrets(built), entropy),
            ),
            writer=writer,
            keys=_Keys(settings.broker.warrant_keys).now,
            uids=answered_users(settings),
            kinds={one.name: one.kind.name for one in found},
            own={one.name: own_accounts(one) for one in found},
        )
    finally:
        register.close()


async def serve_broker(
    settings: Settings,
    door: Callable[[Broker], Any],
    *,
    until_eof: bool,
    started: Callable[[Listeners, Broker, int], None],
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, or the end of standard input; then begin nothing new and end the open
    leases as far as the grace period allows: the next start ends the rest. When target files change, restart within
    this process, once all of them can be read.

    started: called with the number of leases that an earlier process left. Raises as `opened_broker`, and `front.*`.
    """
    stop = anyio.Event()
    stop_on_signal(stop)
    try:
        async with anyio.create_task_group() as listening:
            if until_eof:
                listening.start_soon(stop_at_eof, stop)
            ready = await _before(stop, partial(_first_targets, settings))
            while ready is not None:
                ready = await _serve_once(settings, ready, door, stop, started)
            listening.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        ours = first_of_ours(group)
        if ours is None:
            raise
        raise ours from group


async def _before(stop: anyio.Event, read: Callable[[], ReadyTargets]) -> ReadyTargets | None:
    """Return the targets, or None if the stop comes first: code of plug-ins may take long."""
    ready: ReadyTargets | None = None
    async with anyio.create_task_group() as reading:
        reading.start_soon(_cancel_at, stop, reading.cancel_scope)
        ready = await run_left(read)
        reading.cancel_scope.cancel()
    return ready


async def _cancel_at(stop: anyio.Event, scope: anyio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


def _first_targets(settings: Settings) -> ReadyTargets:
    directory = settings.broker.targets
    seen = _fingerprint(directory)
    return ReadyTargets(seen, built_targets(settings, checked_targets(directory)))


async def _serve_once(
    settings: Settings,
    ready: ReadyTargets,
    door: Callable[[Broker], Any],
    stop: anyio.Event,
    started: Callable[[Listeners, Broker, int], None],
) -> ReadyTargets | None:
    """Serve until stopped, or until the target files change: then return their targets."""
    changed: list[ReadyTargets] = []
    with opened_broker(settings, ready) as broker:
        listeners = listen(uds=settings.broker.socket, uds_mode=SOCKET_MODE)
        ending, desk = anyio.Event(), broker.desk
        async with anyio.create_task_group() as beside:
            desk.tasks = beside
            beside.start_soon(_set_with, stop, ending)
            beside.start_soon(_let_go, desk, ending)
            beside.start_soon(_end_when_changed, settings, ready.seen, ending, changed)
            beside.start_soon(broker.writer.run)
            beside.start_soon(keep_settling, desk)
            if desk.secrets is not None:
                await _looked(desk.secrets)
                beside.start_soon(keep_looking, desk.secrets)
                beside.start_soon(keep_rotating, desk.secrets)
            left = reopen(desk)
            await serve(
                door(broker),
                listeners=listeners,
                limits=FrontLimits(**asdict(settings.front)),
                started=lambda bound: started(bound, broker, left),
                stop=ending,
                uids=broker.uids,
            )
            await _ended(desk, settings.front.grace_seconds)
            beside.cancel_scope.cancel()
        await _disconnected(desk)
    return changed[0] if changed and not stop.is_set() else None


async def _looked(secrets: SecretState) -> None:
    """Check the secrets once before the first action. Unreadable ones are logged and tried again."""
    with suppress(AnswerableError):
        await look(secrets)


async def _set_with(one: anyio.Event, other: anyio.Event) -> None:
    await one.wait()
    other.set()


async def _let_go(desk: BrokerState, ending: anyio.Event) -> None:
    """Before the end, answer requests that wait for changes: the listener closes only when no request is open."""
    await ending.wait()
    desk.is_stopping = True
    told(desk)


async def _end_when_changed(
    settings: Settings, seen: object, ending: anyio.Event, changed: list[ReadyTargets]
) -> None:
    """End when the target files have changed and all of their targets are built. Anything less changes nothing."""
    while True:
        await anyio.sleep(until_round(LOOK_SECONDS))
        now = await to_thread.run_sync(_fingerprint, settings.broker.targets)
        if now == seen:
            continue
        seen = now
        try:
            changed.append(await run_left(partial(_changed_targets, settings, seen)))
        except AnswerableError as failed:
            _log.error("the target files have changed but are not used: %s", failed.message)
            continue
        _log.warning("the target files have changed: restarting with them")
        ending.set()
        return


def _changed_targets(settings: Settings, seen: object) -> ReadyTargets:
    """Raises Malformed (`target.faults`) that names every fault, and as `built_targets`."""
    found, faults = read_targets(settings.broker.targets)
    if faults:
        raise TARGET_FAULTS("; ".join(faults))
    return ReadyTargets(seen, built_targets(settings, found))


def _fingerprint(directory: Path) -> object:
    """Return a value that changes whenever a target file does."""
    try:
        return sorted(
            (path.name, path.stat().st_mtime_ns, path.stat().st_size, path.stat().st_ino)
            for path in directory.iterdir()
            if path.suffix == SUFFIX
        )
    except OSError:
        return None


async def _ended(desk: BrokerState, seconds_max: float) -> None:
    """At an orderly stop, end all leases that can be ended now."""
    begin(desk, [lease.name for lease in desk.open.all()], why="the broker stopped")
    with anyio.move_on_after(seconds_max):
        for going in list(desk.ending.values()):
            await going.wait()


async def _disconnected(desk: BrokerState) -> None:
    """Close every connection of the broker's own: this process may continue with other targets."""
    with anyio.move_on_after(CLOSE_SECONDS_MAX):
        async with anyio.create_task_group() as tasks:
            for one in desk.targets.values():
                tasks.start_soon(one.issuer.close)


def _by(file: TargetFile) -> str:
    """Return whose code acts on a target."""
    return file.kind.by if isinstance(file.kind, PluginKind) else f"the kind {shown(file.kind.name)}"


def _limits(settings: Settings) -> LeaseLimits:
    broker = settings.broker
    return LeaseLimits(
        issue_seconds_max=broker.issue_seconds_max,
        revoke_seconds_max=broker.revoke_seconds_max,
        release_seconds_max=broker.release_seconds_max,
        actions_per_target=broker.actions_per_target,
        enders_per_target=broker.enders_per_target,
        kept_ms=broker.kept_days * DAY_MS,
    )


def answered_users(settings: Settings) -> frozenset[int]:
    """Return the users whose processes are answered. Raises Unavailable (`broker.user`)."""
    found = {0, os.getuid()}
    for name in settings.broker.gateway_users:
        try:
            found.add(int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid)
        except KeyError:
            message = f"there is no account {name!r} on this machine: see `broker.gateway_users`"
            raise BROKER_USER(message) from None
    return frozenset(found)


class _Keys:
    """Public keys in a file, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[PublicKey, ...] = ()

    def now(self) -> tuple[PublicKey, ...]:
        """Return the keys. Raises Unavailable (`broker.keys`)."""
        try:
            state = self._path.stat()
            seen = (state.st_ino, state.st_mtime_ns, state.st_size)
            if seen != self._seen:
                content = read_plain(self._path, KEYS_BYTES_MAX)
                self._keys = tuple(public_key(one) for one in json.loads(content)["keys"])
                self._seen = seen
        except (OSError, ValueError, KeyError, TypeError, AnswerableError):
            raise BROKER_KEYS() from None
        return self._keys
