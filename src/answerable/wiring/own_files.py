"""Check that other accounts can neither read nor change the product's private files.

Laws: a key, a register, a segment of the log and the folders of these grant no rights to others, and belong to this
process's user or to root; the data folder, the settings, and the folders of broker and witness may be readable but not
writable. Otherwise no server starts, and the error names the command that repairs it; `answerable doctor` names all
faults. A command without a server continues: it may be the one that stops something. Keys of single channels are
checked where they are used, and a fault disables only that channel.
"""

from __future__ import annotations

import os
import stat
from itertools import islice
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.documents import FILES_NOT_OWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from answerable.wiring.setting_tree import Settings

KEYS: Final = "keys"
FILES_MAX: Final = 10_000
"""Files checked below one folder."""
_SHOWN_MAX: Final = 4
_ANY: Final = stat.S_IRWXG | stat.S_IRWXO
_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_PUBLIC: Final = ".pub"


def require_own(faults: Iterable[str]) -> None:
    """Check that there are no faults. Raises Unavailable (`files.not_own`) with the first ones and the number of the
    others."""
    found = list(faults)
    if found:
        more = f"; and {len(found) - _SHOWN_MAX} more" if len(found) > _SHOWN_MAX else ""
        raise FILES_NOT_OWN("; ".join(found[:_SHOWN_MAX]) + more)


def server_faults(settings: Settings, config: Path | None = None) -> Iterator[str]:
    """Yield faults of the server's files in its data folder. config: a settings file other than the one in it."""
    data = settings.data
    yield from _faults([data, config or data / "answerable.toml"], _WRITE)
    keys = data / KEYS
    own = (keys, *keys.glob("log*"), keys / "subjects.key", keys / "warrants.jwk")
    yield from _faults([*own, *_below(keys / "identity"), *_below(keys / "tokens")], _ANY)
    stores = (settings.registers.database, settings.registers.subject_keys)
    beside = [one.with_name(f"{one.name}{end}") for one in stores for end in ("", "-wal", "-shm")]
    yield from _faults([*beside, data / "proofs.table"], _ANY)
    place = settings.ledger.place
    yield from _faults([place, *_below(place / "wal")], _ANY)


def broker_faults(settings: Settings) -> Iterator[str]:
    """Yield faults of the broker's files."""
    broker = settings.broker
    targets = broker.directory / "targets"
    found = [path for path in _below(broker.directory) if targets not in path.parents]
    # People write the target files there, in folders that their own commands created: those folders may be readable.
    # Secrets beside the target files are checked where they are used.
    seen = [path for path in found if path.is_dir()]
    yield from _faults([*seen, *targets.glob("*.toml")], _WRITE)
    yield from _faults([path for path in found if path not in seen], _ANY)
    yield from _faults(_below(broker.secrets_keyring), _ANY)


def witness_faults(settings: Settings) -> Iterator[str]:
    """Yield faults of the local witness's files."""
    place = settings.local_witness.directory
    yield from _faults([place], _WRITE)
    yield from _faults([path for path in _below(place) if path != place], _ANY)


def _faults(paths: Iterable[Path], refused: int) -> Iterator[str]:
    for path in dict.fromkeys(paths):
        try:
            found = os.lstat(path)
        except OSError:
            # It does not exist yet; a file that cannot be examined fails where it is used.
            continue
        if stat.S_ISLNK(found.st_mode) or stat.S_ISSOCK(found.st_mode):
            continue
        if found.st_uid not in (os.geteuid(), 0):
            yield f"{shown(path)} belongs to user {found.st_uid}, who can change it: chown {os.geteuid()} {path}"
        mode = stat.S_IMODE(found.st_mode) & (_WRITE if path.suffix == _PUBLIC else refused)
        if mode:
            may = "change" if mode & _WRITE else "read"
            yield (
                f"{shown(path)} has mode {stat.S_IMODE(found.st_mode):04o}, so that others may {may} it: "
                f"chmod {'go-w' if refused == _WRITE else 'go='} {path}"
            )


def _below(path: Path) -> Iterator[Path]:
    """Yield the folder and everything in it, at any depth; or a file alone."""
    yield path
    yield from islice(path.rglob("*"), FILES_MAX)
