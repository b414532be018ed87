"""Store a witness's state in files, one directory for each log. The port's docstring defines the promises.

    lock                            held by the one process that cosigns
    logs/lock                       held while logs are added
    logs/<SHA-256 of the origin>/   keys         vkeys of the log, one a line
                                    checkpoint   the newest cosigned one: note, log's signatures, our cosignatures
                                    evidence/    what the log signed and what contradicts it

Laws:
- `checkpoint` is the whole state, replaced by one rename after it is on disk, so no two parts of it can disagree;
- a log without any cosigned checkpoint says so (`none`), so an empty, torn or absent file is damage;
- after a failed sync or rename nothing is cosigned before a restart, which reads the actual content of the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.adapters.witness_files import files
from answerable.adapters.witness_files.evidence import EvidenceFiles
from answerable.core.tlog.note import NOTE_BYTES_MAX, VerifierKey
from answerable.errors import AnswerableError, Broken, Malformed, shown
from answerable.errors.codes.tlog import (
    WITNESS_KEYS_COUNT,
    WITNESS_LOCKED,
    WITNESS_POISONED,
    WITNESS_STATE_DAMAGED,
    WITNESS_UNWRITABLE,
)
from answerable.ports.witness_register import WitnessedLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from answerable.ports.witness_register import Evidence

KEYS: Final = "keys"
CHECKPOINT: Final = "checkpoint"
NOTHING_YET: Final = b"none\n"
KEYS_BYTES_MAX: Final = 65_536
KEYS_MAX: Final = 16

_HASH_CHARS: Final = 64
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FilesWitnessRegister:
    """Created by `open`, to cosign, or by `reading`, to read and to add logs. Implements ports.WitnessRegister.

    Thread-safe.
    """

    def __init__(self, directory: Path, *, lock: int = -1) -> None:
        self._directory = directory
        self._logs = directory / "logs"
        self._lock = lock
        self._advancing = threading.Lock()
        self._is_poisoned = False

    @classmethod
    def open(cls, directory: Path) -> FilesWitnessRegister:
        """Lock the directory for this process, and create it if it does not exist.

        Raises Unavailable: `witness.locked` while another process holds it, `witness.unwritable`.
        """
        with _port_errors("the directory of the witness cannot be used"):
            files.make_directory(directory)
            files.make_directory(directory / "logs")
            return cls(directory, lock=_locked(directory))

    @classmethod
    def reading(cls, directory: Path) -> FilesWitnessRegister:
        """Open a directory that another process may be using. `advance` then always fails."""
        return cls(directory)

    def close(self) -> None:
        """Release the directory. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def log(self, origin: str) -> WitnessedLog | None:
        """Return a log by its origin."""
        return self.log_of_hash(sha256(origin.encode()).hexdigest())

    def log_of_hash(self, origin_hash: str) -> WitnessedLog | None:
        """Return a log by the hash of its origin; None also for anything but 64 lower-case hex digits."""
        if len(origin_hash) != _HASH_CHARS or not set(origin_hash) <= set("0123456789abcdef"):
            return None
        place = self._logs / origin_hash
        with _port_errors("what the witness remembers cannot be read"):
            if not place.is_dir():
                return None
            keys = _keys_in(place)
            newest = _state_in(place)
        return WitnessedLog(origin=keys[0].name, keys=keys, newest=None if newest == NOTHING_YET else newest)

    def origins(self) -> Sequence[str]:
        """Return the names of all logs, sorted."""
        with _port_errors("what the witness remembers cannot be read"):
            places = list(self._logs.iterdir()) if self._logs.is_dir() else []
            return sorted(_keys_in(place)[0].name for place in places if len(place.name) == _HASH_CHARS)

    def add(self, key: VerifierKey) -> bool:
        """Watch a log under this key. Raises Malformed (`witness.keys_count`) beyond the limit of keys for one log."""
        place = self._logs / sha256(key.name.encode()).hexdigest()
        with _port_errors("the log cannot be added"):
            files.make_directory(self._logs)
            with files.alone(self._logs / "lock"):
                if not place.is_dir():
                    self._begin(place, key)
                    return True
                keys = _keys_in(place)
                if key in keys:
                    return False
                if len(keys) >= KEYS_MAX:
                    raise WITNESS_KEYS_COUNT(f"a log has at most {KEYS_MAX} keys")
                files.replace(place / KEYS, _lines((*keys, key)))
                return True

    def advance(self, origin: str, *, seen: bytes | None, newest: bytes) -> bool:
        """Store `newest` if the stored checkpoint still is `seen`; return whether it was.

        Only the process that opened the directory may do so, and its threads take turns.
        """
        if self._lock < 0:
            raise WITNESS_UNWRITABLE("this register was opened read-only")
        path = self._logs / sha256(origin.encode()).hexdigest() / CHECKPOINT
        with self._advancing, _port_errors("the checkpoint cannot be remembered"):
            if self._is_poisoned:
                raise WITNESS_POISONED()
            if _state_in(path.parent) != (NOTHING_YET if seen is None else seen):
                return False
            # A crash before the rename leaves a draft that is never read; after it, the new state.
            self._replace(path, newest)
            return True

    def keep_evidence(self, origin: str, evidence: Evidence) -> None:
        """Store evidence, unless this request is stored already or the limit of its kind is reached."""
        with _port_errors("evidence cannot be kept"):
            self._evidence(origin).keep(evidence)

    def evidence(self, origin: str) -> Sequence[Evidence]:
        """Return the evidence about one log, oldest first."""
        with _port_errors("evidence cannot be read"):
            return self._evidence(origin).kept()

    def evidence_place(self, origin: str) -> Path:
        """Return the directory of the evidence about one log."""
        return self._evidence(origin).directory

    def _evidence(self, origin: str) -> EvidenceFiles:
        return EvidenceFiles(self._logs / sha256(origin.encode()).hexdigest() / "evidence")

    def _begin(self, place: Path, key: VerifierKey) -> None:
        """Create the directory of a log at once with its keys and the statement that nothing was cosigned."""
        draft = files.draft_of(place)
        files.make_directory(draft)
        files.write_new(draft / KEYS, _lines((key,)))
        files.write_new(draft / CHECKPOINT, NOTHING_YET)
        files.sync_directory(draft)
        files.take_place(place)

    def _replace(self, path: Path, content: bytes) -> None:
        try:
            files.write_new(files.draft_of(path), content)
        except OSError as error:
            # A full disk has changed nothing. After any other failed sync, the content of the disk is unknown to this
            # process.
            self._is_poisoned = error.errno not in _NO_ROOM
            raise
        try:
            files.take_place(path)
        except OSError:
            self._is_poisoned = True
            raise


def _state_in(place: Path) -> bytes:
    try:
        content = files.read_at_most(place / CHECKPOINT, NOTE_BYTES_MAX)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        content = None
    # The final newline distinguishes a torn note; the reader verifies the signatures.
    if not content or not content.endswith(b"\n"):
        raise WITNESS_STATE_DAMAGED(
            f"the witness's state in {shown(place.name)} was changed or damaged: restore it from a backup, never "
            "remove it: it holds the proof"
        )
    return content


def _keys_in(place: Path) -> tuple[VerifierKey, ...]:
    content = files.read_at_most(place / KEYS, KEYS_BYTES_MAX) or b""
    try:
        keys = tuple(VerifierKey.parse(line) for line in content.decode("utf-8", "replace").splitlines())
    except Malformed as error:
        raise _damaged_keys(place, error.message) from None
    if not keys or any(sha256(key.name.encode()).hexdigest() != place.name for key in keys):
        raise _damaged_keys(place, "not those of this log")
    return keys


def _damaged_keys(place: Path, why: str) -> Broken:
    return WITNESS_STATE_DAMAGED(
        f"the keys of the log in {shown(place.name)} were changed or damaged: {why}; restore them from a backup"
    )


def _lines(keys: tuple[VerifierKey, ...]) -> bytes:
    return "".join(f"{key.formatted()}\n" for key in keys).encode()


def _locked(directory: Path) -> int:
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise WITNESS_LOCKED(f"another witness uses {shown(directory)}") from None
    return fd


@contextmanager
def _port_errors(what: str) -> Iterator[None]:
    try:
        yield
    except AnswerableError:
        raise
    except OSError as error:
        raise WITNESS_UNWRITABLE(f"{what}: {(error.strerror or 'unknown fault').lower()}") from None
