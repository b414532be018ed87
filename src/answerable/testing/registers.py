"""SQLite registers for tests and benches, each in its own temporary file.

The file is on an in-memory file system if the machine has one. A new database is a copy of one with a ready schema.
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
    """Return an open empty database; its file is removed when nothing refers to the store."""
    folder = _folder()
    path = Path(folder.name) / _FILE
    path.write_bytes(_empty(SqliteStore.open))
    store = SqliteStore.open(path)
    weakref.finalize(store, _gone, store.shared_epoch().close, folder)
    return store


def elsewhere(store: SqliteStore) -> SqliteStore:
    """Return the same database opened as by another process."""
    other = SqliteStore.open(store._path)
    # Keep the first store alive, because the file is removed with it.
    weakref.finalize(other, lambda kept: None, store)
    return other


def fresh(register: Callable[..., R], **more: object) -> R:
    """Return a register of this kind in its own database. more: other arguments to open it."""
    return register(fresh_store(), **more)


def fresh_ends(clock: Clock | None = None) -> tuple[SqliteRevocationRegister, SqliteHoldRegister]:
    """Return revocation and hold registers of one database."""
    store = fresh_store()
    revocations = SqliteRevocationRegister(store, clock=clock or ManualClock())
    return revocations, SqliteHoldRegister(store, revocations)


def fresh_subject_keys(seed: str = "subject keys", *, entropy: Entropy | None = None) -> SqliteSubjectKeys:
    """Return subject keys, the same ones for the same seed and order of calls."""
    folder = _folder()
    path = Path(folder.name) / "keys.db"
    path.write_bytes(_empty(_no_keys))
    root = seed.encode().ljust(ROOT_BYTES, b".")[:ROOT_BYTES]
    keys = SqliteSubjectKeys.open(path, root=root, entropy=entropy or SeededEntropy(seed))
    weakref.finalize(keys, folder.cleanup)
    return keys


def fresh_replay_store(
    entropy: Entropy | None = None, *, partitions_max: int = 64, uses_per_partition_max: int = 4_096
) -> SharedReplayStore:
    """Return a separate store of accepted proofs, whose epoch comes from `entropy`; its file is removed with it."""
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
    """Return authority keys, each a file in a directory that is removed with them."""
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
def _empty(opened: Callable[[Path], SqliteStore | SqliteSubjectKeys]) -> bytes:
    with _folder() as folder:
        path = Path(folder) / _FILE
        opened(path).close()
        return path.read_bytes()


def _no_keys(path: Path) -> SqliteSubjectKeys:
    return SqliteSubjectKeys.open(path, root=bytes(ROOT_BYTES), entropy=SeededEntropy(""))


def fresh_leases() -> SqliteLeaseRegister:
    """Return a broker's lease register in its own file."""
    folder = _folder()
    leases = SqliteLeaseRegister(Path(folder.name) / "leases.db")
    weakref.finalize(leases, _gone, partial(os.close, leases._lock), folder)
    return leases
