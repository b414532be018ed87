"""Registers for tests and benches: those that run everywhere, SQLite, each on a file of its own that goes with it.

The file lies on a disk in memory where the machine has one. A new one is a copy of one whose schema is made already.
"""

from __future__ import annotations

import os
import weakref
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, TypeVar

from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.adapters.replay_table import SharedReplayStore
from answerable.adapters.sqlite import (
    SqliteHoldRegister,
    SqliteRevocationRegister,
    SqliteStore,
    SqliteSubjectKeys,
)
from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.adapters.sqlite.subject_keys import ROOT_BYTES
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
_FILE: Final = "registers.db"

R = TypeVar("R")


def fresh_store() -> SqliteStore:
    """An open database that knows nothing; its file goes once nobody has it any more."""
    folder = _folder()
    path = Path(folder.name) / _FILE
    path.write_bytes(_empty())
    store = SqliteStore.open(path)
    weakref.finalize(store, _gone, store.shared_epoch().close, folder)
    return store


def elsewhere(store: SqliteStore) -> SqliteStore:
    """The same database as another process has it open."""
    other = SqliteStore.open(store._path)
    # The file goes with the first of them.
    weakref.finalize(other, lambda kept: None, store)
    return other


def fresh(register: Callable[..., R], **more: object) -> R:
    """A register of this kind in a database of its own. more: what else it is opened with."""
    return register(fresh_store(), **more)


def fresh_ends(clock: Clock | None = None) -> tuple[SqliteRevocationRegister, SqliteHoldRegister]:
    """Revocations and holds, of one database."""
    store = fresh_store()
    revocations = SqliteRevocationRegister(store, clock=clock or ManualClock())
    return revocations, SqliteHoldRegister(store, revocations)


def fresh_subject_keys(seed: str = "subject keys", *, entropy: Entropy | None = None) -> SqliteSubjectKeys:
    """Keys of subjects, the same ones for the same seed and the same order of asking."""
    folder = _folder()
    root = seed.encode().ljust(ROOT_BYTES, b".")[:ROOT_BYTES]
    keys = SqliteSubjectKeys.open(
        Path(folder.name) / "keys.db", root=root, entropy=entropy or SeededEntropy(seed)
    )
    weakref.finalize(keys, folder.cleanup)
    return keys


def fresh_replay_store(
    entropy: Entropy | None = None, *, partitions_max: int = 64, uses_per_partition_max: int = 4_096
) -> SharedReplayStore:
    """A table of accepted proofs of its own, whose epoch comes from `entropy`; its file goes with it."""
    folder = _folder()
    store = SharedReplayStore.open(
        Path(folder.name) / "proofs",
        entropy=entropy or SeededEntropy("proofs"),
        at=0.0,
        partitions_max=partitions_max,
        uses_per_partition_max=uses_per_partition_max,
    )
    weakref.finalize(store, folder.cleanup)
    return store


K = TypeVar("K", bound=LocalAuthorityKeys)


def fresh_keys(kind: type[K]) -> K:
    """Keys of authorities, each a file in a directory that goes with them."""
    folder = _folder()
    keys = kind(Path(folder.name))
    weakref.finalize(keys, folder.cleanup)
    return keys


def _gone(close: Callable[[], object], folder: TemporaryDirectory[str]) -> None:
    close()
    folder.cleanup()


def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="answerable-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None)


@cache
def _empty() -> bytes:
    with _folder() as folder:
        path = Path(folder) / _FILE
        SqliteStore.open(path).close()
        return path.read_bytes()


def fresh_leases() -> SqliteLeaseRegister:
    """A broker's register of leases, in a file of its own."""
    folder = _folder()
    leases = SqliteLeaseRegister(Path(folder.name) / "leases.db")
    weakref.finalize(leases, _gone, partial(os.close, leases._lock), folder)
    return leases
