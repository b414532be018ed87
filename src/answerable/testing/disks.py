"""Simulated disks: the stores of a walk that survive a process, opened again after each crash."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteHistoryRegister,
    SqliteMandateRegister,
    SqliteOpeningRegister,
    SqliteRegistryStore,
    SqliteStore,
    SqliteSubjectKeys,
)
from answerable.adapters.sqlite.subject_keys import ROOT_BYTES
from answerable.adapters.tlog_files.ledger import TlogFilesLedger
from answerable.adapters.tlog_files.settings import TlogFilesSettings
from answerable.testing.builders import ledger_key, memory_ledger
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh, fresh_store, fresh_subject_keys
from answerable.testing.samples import signing_key

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.ports.clock import Clock
    from answerable.ports.history_register import HistoryRegister
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.subject_keys import SubjectKeys

_SETTINGS: Final = TlogFilesSettings(segment_bytes=1_048_576, commit="inline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The durable ports of one process."""

    ledger: Ledger
    registry: RegistryStore
    mandates: MandateRegister
    approvals: ApprovalRegister
    openings: OpeningRegister
    subject_keys: SubjectKeys
    history: HistoryRegister


class Disk(Protocol):
    """State that survives a process. Promises: what was durable when `snapshot` was called, or else `crashed`, is there
    at the next `opened`, and nothing that the earlier process does afterwards changes it."""

    async def opened(self) -> Stores:
        """Open the stores as a new process does."""
        ...

    def snapshot(self) -> None:
        """Simulate that the process stops at this moment."""
        ...

    async def crashed(self) -> None:
        """Simulate that the process is gone."""
        ...

    async def closed(self) -> None:
        """Release all resources."""
        ...


class MemoryDisk:
    """Implements Disk in memory: the contents pass from process to process; of budgets, only the stored counts do."""

    def __init__(self, clock: Clock) -> None:
        store = fresh_store()
        self._stores = Stores(
            ledger=memory_ledger(clock),
            registry=SqliteRegistryStore(store),
            mandates=SqliteMandateRegister(store),
            approvals=SqliteApprovalRegister(store),
            openings=SqliteOpeningRegister(store),
            subject_keys=fresh_subject_keys("subject keys"),
            history=SqliteHistoryRegister(store),
        )

    async def opened(self) -> Stores:
        return self._stores

    def snapshot(self) -> None:
        """Do nothing: everything submitted counts as durable."""

    async def crashed(self) -> None:
        mandates = fresh(SqliteMandateRegister)
        for mandate in reversed(tuple(self._stores.mandates.all())):
            mandates.add(mandate)
            if self._stores.mandates.state(mandate.id) == "closed":
                mandates.close(mandate.id)
        before, origin = self._stores.mandates, self._stores.ledger.origin
        mandates.keep_used(origin, before.kept_used(origin), before.used_up_to(origin))
        self._stores = Stores(
            ledger=self._stores.ledger,
            registry=self._stores.registry,
            mandates=mandates,
            approvals=self._stores.approvals,
            openings=self._stores.openings,
            subject_keys=self._stores.subject_keys,
            history=self._stores.history,
        )

    async def closed(self) -> None:
        """Hold nothing to release."""


class FileDisk:
    """Implements Disk with a log in files and registers in SQLite. After a crash the next process uses a copy of the
    files."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory, self._clock = directory, clock
        self._life = 0
        self._ledger: TlogFilesLedger | None = None
        self._store: SqliteStore | None = None
        self._subject_keys: SqliteSubjectKeys | None = None
        self._entropy = SeededEntropy("subject keys")

    @property
    def place(self) -> Path:
        """Directory of the present process: `log`, `registers.sqlite` and `subject-keys.sqlite`."""
        return self._directory / str(self._life)

    async def opened(self) -> Stores:
        place = self.place
        place.mkdir(exist_ok=True)
        self._ledger = TlogFilesLedger.open(
            place / "log",
            key=ledger_key(),
            sign=signing_key("ledger").sign,
            clock=self._clock,
            settings=_SETTINGS,
        )
        self._store = SqliteStore.open(place / "registers.sqlite")
        self._subject_keys = SqliteSubjectKeys.open(
            place / "subject-keys.sqlite", root=bytes(ROOT_BYTES), entropy=self._entropy
        )
        return Stores(
            ledger=self._ledger,
            registry=SqliteRegistryStore(self._store),
            mandates=SqliteMandateRegister(self._store),
            approvals=SqliteApprovalRegister(self._store),
            openings=SqliteOpeningRegister(self._store),
            subject_keys=self._subject_keys,
            history=SqliteHistoryRegister(self._store),
        )

    def snapshot(self) -> None:
        """Copy the files: the copy is what the next process finds."""
        ignore = shutil.ignore_patterns("*.sqlite-shm", "lock")
        after = self._directory / str(self._life + 1)
        shutil.copytree(self.place, after, ignore=ignore)

    async def crashed(self) -> None:
        if not (self._directory / str(self._life + 1)).exists():
            self.snapshot()
        await self.closed()
        self._life += 1

    async def closed(self) -> None:
        if self._ledger is not None:
            await self._ledger.close()
        if self._store is not None:
            self._store.close()
        if self._subject_keys is not None:
            self._subject_keys.close()
