"""Run several processes on one data directory: a separate log for each, and the log of logs that one of them keeps."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskStatus

from answerable.adapters.local_keys import open_or_create_key
from answerable.adapters.tlog_files import PublishedFiles, StoredFiles, TlogFilesLedger, TlogFilesSettings
from answerable.core.identity.keys.keys import ed25519_public
from answerable.core.ledger.shards import HEADS, checked_shard_name, shard_origin
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.note import Note, VerifierKey
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.ledger import LEDGER_SHARDED, LEDGER_UNSHARDED
from answerable.flows.ledger.publish_set_checkpoint import Covering, ShardState, require_led_on
from answerable.wiring.kept_process import KeptProcess
from answerable.wiring.witness_settings import LOCAL
from answerable.wiring.witnesses import cosigning, require_known_history

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anyio.abc import TaskGroup

    from answerable.core.identity.keys.keys import SigningKey
    from answerable.flows.ledger.gather_cosignatures import Cosigning, WitnessState
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.wiring.setting_tree import Settings

SEGMENT_BYTES_MAX: Final = 4 * 1_048_576
"""Segment size of the log of logs, which grows by some hundred bytes for each shard and checkpoint."""

LATE_SECONDS: Final = 60.0
"""After this time without a head over one of its checkpoints, a process reports that it is not covered."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIdentity:
    """The signing key of a log, and its verifier key with the log's name."""

    key: SigningKey
    log_key: VerifierKey

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.log_key.name


def own_log(settings: Settings, entropy: Entropy) -> LogIdentity:
    """Return the identity of this process's log, after checking that the log may be opened: it is of the configured
    kind and was not rolled back.

    Its key is created at the first start. Raises Malformed (`ledger.sharded`, `ledger.unsharded`), Broken
    (`ledger.rolled_back`, `witness.state_lost`), Unavailable (`key.*`), and Unavailable or Broken where the log of logs
    cannot be read.
    """
    _require_one_kind(settings)
    own = _own_identity(settings, entropy)
    require_known_history(own_witnesses(settings), (own.log_key,), directory=settings.ledger.place)
    if settings.ledger.shard:
        require_led_on(
            own.origin,
            shard=PublishedFiles(settings.ledger.place),
            heads=PublishedFiles(settings.ledger.heads),
        )
    return own


def _own_identity(settings: Settings, entropy: Entropy) -> LogIdentity:
    shard = settings.ledger.shard
    if shard:
        base = _prefix(settings, _opened_key(settings, entropy, f"log-{HEADS}"))
        return _identity(_opened_key(settings, entropy, f"log-{shard}"), shard_origin(base, shard))
    key = _opened_key(settings, entropy, "log")
    return _identity(key, _prefix(settings, key))


def heads_identity(settings: Settings, entropy: Entropy) -> LogIdentity:
    """Return the identity of the log of logs."""
    key = _opened_key(settings, entropy, f"log-{HEADS}")
    return _identity(key, shard_origin(_prefix(settings, key), HEADS))


def _require_one_kind(settings: Settings) -> None:
    """Check that the ledger is either one log or all shards: a mix would hide entries of one from the other."""
    place = settings.ledger.directory
    if settings.ledger.shard and (place / "wal").is_dir():
        raise LEDGER_UNSHARDED(
            f"the ledger in {shown(place)} is a single log: keep it, and set another `ledger.directory` for shards"
        )
    if not settings.ledger.shard and settings.ledger.shards.is_dir():
        names = ", ".join(one.name for one in published_shards(settings)) or "none yet"
        raise LEDGER_SHARDED(
            f"the ledger in {shown(place)} is kept in shards ({names}): select one with `ledger.shard` in the settings"
        )


def own_witnesses(settings: Settings) -> Settings:
    """Return the settings without witnesses for this process's own log if the log of logs is cosigned in its place."""
    if not settings.ledger.shard or settings.witnesses.shards:
        return settings
    return replace(settings, witnesses=replace(settings.witnesses, local=False, remote=()))


def published_shards(settings: Settings) -> tuple[PublishedFiles, ...]:
    """Return the logs of all shards, by name."""
    return tuple(PublishedFiles(place) for place in sorted(_shard_places(settings)))


def other_shards(settings: Settings) -> tuple[StoredFiles, ...]:
    """Return the logs of the shards that this process does not write, by name; empty without shards."""
    own = settings.ledger.shard
    places = sorted(_shard_places(settings)) if own else ()
    return tuple(StoredFiles(place) for place in places if place.name != own)


def published_sizes(settings: Settings) -> dict[str, int]:
    """Return how many entries each shard has published, by the name of its log. Raises as the ports of published logs
    do."""
    found: dict[str, int] = {}
    for shard in published_shards(settings):
        note = shard.checkpoint()
        if note is not None:
            newest = Checkpoint.parse(Note.parse(note).text)
            found[newest.origin] = newest.size
    return found


class LogOfLogs:
    """The log of logs in this process: the process that holds its lock keeps it, the others follow it."""

    def __init__(
        self, settings: Settings, *, identity: LogIdentity, clock: Clock, witness: tuple[str, ...] = ()
    ) -> None:
        """witness: command that starts the local witness, which runs beside the process that keeps the log of logs."""
        self._settings, self._identity, self._clock = settings, identity, clock
        self._witness = witness
        prefix = identity.origin.removesuffix(f"/{HEADS}")
        self._covering = Covering(base=prefix, clock=clock)
        self._kept: TlogFilesLedger | None = None
        self._rounds: Cosigning | None = None
        self._turn = anyio.Lock()
        self._failure = ""
        self._own = PublishedFiles(settings.ledger.place)
        self._own_origin = shard_origin(prefix, settings.ledger.shard)
        # Size and time of this process's oldest checkpoint that no head covers yet.
        self._uncovered: tuple[int, float] | None = None

    @property
    def origin(self) -> str:
        """The name of the log of logs."""
        return self._identity.origin

    @property
    def is_kept_here(self) -> bool:
        """Whether this process keeps it."""
        return self._kept is not None

    def states(self) -> tuple[ShardState, ...]:
        """Return the state of each shard in it, and its own if it cannot be kept."""
        states = {one.origin: one for one in self._covering.states()}
        late = self._seconds_late()
        if late > LATE_SECONDS:
            own = states.get(self._own_origin, ShardState(origin=self._own_origin, state="waiting"))
            reason = f"the log of logs has not covered it for {late:.0f} seconds"
            if own.state != "alarm":
                states[self._own_origin] = replace(own, state="alarm", reason=reason)
        if self._failure:
            states[self.origin] = ShardState(origin=self.origin, state="alarm", reason=self._failure)
        return tuple(states[origin] for origin in sorted(states))

    def witness_states(self) -> tuple[WitnessState, ...]:
        """Return the state of each of its witnesses; none if another process keeps it."""
        return self._rounds.states() if self._rounds is not None else ()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep it or follow it until cancelled. Reports started once the role is known and the present entries have
        been read.

        Raises Broken if it is damaged or was rolled back: the process should end then.
        """
        started = _Once(task_status)
        while True:
            try:
                ledger = self._opened()
                if ledger is None:
                    await self._follow()
                    self._failed("")
                else:
                    await self._keep(ledger, started)
            except Unavailable as failed:
                # The next opening verifies what is on disk; meanwhile the shards continue without heads.
                self._failed(failed.message)
            started.now()
            await anyio.sleep(self._settings.ledger.seal_seconds)

    async def last_round(self) -> None:
        """Include this process's last checkpoint before it stops, if this process keeps the log of logs."""
        if self._kept is not None and self._rounds is not None:
            await self._round(self._kept)
            await self._rounds.gather()

    def _opened(self) -> TlogFilesLedger | None:
        """Return the opened log; None while another process has it."""
        settings = self._settings.ledger
        require_known_history(self._settings, (self._identity.log_key,), directory=settings.heads)
        try:
            return TlogFilesLedger.open(
                settings.heads,
                key=self._identity.log_key,
                sign=self._identity.key.sign,
                clock=self._clock,
                settings=TlogFilesSettings(
                    segment_bytes=min(settings.segment_bytes, SEGMENT_BYTES_MAX),
                    allocation_retry_seconds=settings.allocation_retry_seconds,
                ),
            )
        except Unavailable as error:
            if error.code != "ledger.locked":
                raise
            return None

    async def _follow(self) -> None:
        await self._covering.follow(PublishedFiles(self._settings.ledger.heads), self._identity.log_key)
        note = self._own.checkpoint()
        head = self._covering.head_of(self._own_origin)
        covered = head.size if head is not None else 0
        if self._uncovered is not None and covered >= self._uncovered[0]:
            self._uncovered = None
        if note is not None and self._uncovered is None:
            size = Checkpoint.parse(Note.parse(note).text).size
            self._uncovered = (size, self._clock.monotonic()) if size > covered else None

    def _seconds_late(self) -> float:
        return self._clock.monotonic() - self._uncovered[1] if self._uncovered is not None else 0.0

    def _failed(self, why: str) -> None:
        if why and why != self._failure:
            _log.error("the log of logs: %s", why)
        self._failure = why

    async def _keep(self, ledger: TlogFilesLedger, started: _Once) -> None:
        """Keep the log. Raises Unavailable if it can no longer be written; it is released then, and others may try."""
        keys = (self._identity.log_key,)
        failure: Unavailable | None = None
        try:
            async with (
                cosigning(self._settings, ledger=ledger, log_keys=keys, clock=self._clock) as rounds,
                anyio.create_task_group() as tasks,
            ):
                await self._covering.recall(ledger)
                await self._first_round(tasks, rounds)
                self._kept, self._rounds, self._uncovered = ledger, rounds, None
                tasks.start_soon(rounds.gather_always)
                try:
                    while True:
                        await self._round(ledger)
                        started.now()
                        await anyio.sleep(self._settings.ledger.seal_seconds)
                except Unavailable as failed:
                    failure = failed
                    tasks.cancel_scope.cancel()
        finally:
            self._kept = self._rounds = None
            with anyio.CancelScope(shield=True):
                await ledger.close()
        if failure is not None:
            raise failure

    async def _first_round(self, tasks: TaskGroup, rounds: Cosigning) -> None:
        """Ask the witness before writing anything new: it may know a longer log of logs, or a different one."""
        seconds = self._settings.witnesses.start_seconds_max
        with anyio.move_on_after(seconds):
            if self._settings.witnesses.local and self._witness:
                process = KeptProcess(
                    name="witness",
                    command=(*self._witness, "--log", self._identity.log_key.formatted()),
                    socket=self._settings.local_witness.socket,
                    ended=partial(rounds.starting.done, LOCAL),
                )
                tasks.start_soon(process.run)
                rounds.starting.begin(LOCAL)
                await process.answering()
        with anyio.move_on_after(seconds):
            await rounds.gather()

    async def _round(self, ledger: TlogFilesLedger) -> None:
        async with self._turn:
            try:
                if await self._covering.cover(ledger, published_shards(self._settings)):
                    ledger.seal()
                self._failed("")
            except Unavailable as failed:
                if failed.code not in ("ledger.full", "ledger.busy"):
                    raise
                self._failed(failed.message)


class _Once:
    """Reports that a task has started, at most once."""

    def __init__(self, status: TaskStatus[None]) -> None:
        self._status: TaskStatus[None] | None = status

    def now(self) -> None:
        """Report it, if not yet reported."""
        if self._status is not None:
            self._status.started()
            self._status = None


def _shard_places(settings: Settings) -> Iterator[Path]:
    shards = settings.ledger.shards
    for place in shards.iterdir() if shards.is_dir() else ():
        try:
            checked_shard_name(place.name)
        except Malformed:
            continue
        yield place


def _opened_key(settings: Settings, entropy: Entropy, name: str) -> SigningKey:
    return open_or_create_key(settings.data / "keys" / f"{name}.jwk", entropy=entropy)


def _prefix(settings: Settings, key: SigningKey) -> str:
    """Return the prefix of the logs' names: as configured, else made from a key."""
    public = ed25519_public(key.public)
    return settings.ledger.origin or f"answerable-log-{hashlib.sha256(public).hexdigest()[:16]}"


def _identity(key: SigningKey, origin: str) -> LogIdentity:
    return LogIdentity(key=key, log_key=VerifierKey.ed25519(origin, ed25519_public(key.public)))
