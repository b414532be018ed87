"""What `doctor` finds in files, without a server: who may read them, and whether those of the ledger fit together."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.errors import Broken, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answerable.wiring.setting_tree import Settings

LEDGER_FILES: Final = "ledger files"
"""Name of the check of the ledger's files."""
_OTHERS: Final = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
"""Mode bits that other users must not have on the data folder. Pass-through (x) is allowed: it leads to the sockets
inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check. advice: the remedy; empty when the check passed or the finding is only a remark."""

    name: str
    state: str
    says: str
    advice: str = ""


def directory_finding(data: Path) -> Finding:
    """Return whether the data directory is there, for its user alone."""
    if not data.is_dir():
        advice = "begin with `answerable apply` or `answerable up`"
        return Finding(name="data directory", state="absent", says=str(data), advice=advice)
    status = data.stat()
    if status.st_uid != os.geteuid():
        says = f"{data} belongs to user {status.st_uid}"
        return Finding(name="data directory", state="fault", says=says, advice="run this as that user")
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        says = f"{data} has mode {stat.S_IMODE(status.st_mode):04o}: other users may read its contents"
        return Finding(name="data directory", state="fault", says=says, advice=f"chmod 700 {data}")
    return Finding(name="data directory", state="ok", says=str(data))


def own_files(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """Find faults in the files that would keep the server, its broker or its witness from starting."""
    from answerable.wiring.own_files import broker_faults, server_faults, witness_faults

    found = [*server_faults(settings, config), *witness_faults(settings)]
    # A broker under its own account has files that this user does not own.
    found += [] if settings.broker.user else broker_faults(settings)
    for fault in found:
        says, _, advice = fault.rpartition(": ")
        yield Finding(name="files", state="fault", says=says, advice=advice)
    if not found:
        yield Finding(
            name="files", state="ok", says="keys, registers and the log are not accessible to other users"
        )
    ledger = ledger_finding(settings.ledger.place)
    if ledger is not None:
        yield ledger
    yield from _made_again(settings.ledger.place)


def _made_again(directory: Path) -> Iterator[Finding]:
    """Tell of damaged tiles that an opening replaced, for as long as they are kept."""
    from answerable.wiring.ledger_copy import damaged_tiles

    if kept := damaged_tiles(directory):
        says = f"tiles did not lead to the signed root and were made again from the entries: {len(kept)} of them are "
        yield Finding(
            name="damaged tiles",
            state="look at",
            says=f"{says}in {kept[0].parent}",
            advice=f"find out who wrote there, see {_verify(directory)} for the rest, then remove that directory",
        )


def ledger_finding(directory: Path) -> Finding | None:
    """Return whether the newest checkpoint, tiles and entries fit together, and what was not read; None where there is
    no ledger yet."""
    from answerable.wiring.ledger_copy import glance_at

    name = LEDGER_FILES
    try:
        found = glance_at(directory)
    except Broken as error:
        return Finding(name=name, state="fault", says=error.message, advice=if_damaged(directory))
    except Unavailable as error:
        return Finding(name=name, state="look at", says=error.message, advice="run this as the server's user")
    if found is None or not found.size:
        return None
    last = found.size - 1
    says = (
        f"the checkpoint of {found.size} entries is signed, hashes {found.hashes_from} to {last} lead to it, entries "
        f"{found.entries_from} to {last} have theirs; {_verify(directory)} checks the rest: older ones, segments, what "
        "entries say"
    )
    return Finding(name=name, state="ok", says=says)


def if_damaged(ledger: Path) -> str:
    """Return what to do about a damaged ledger."""
    return (
        f"stop, keep a copy of the directory, see {_verify(ledger)}, which names each damaged place, and restore the "
        "complete ledger from a backup"
    )


def _verify(ledger: Path) -> str:
    return f"`answerable ledger verify {ledger}`"
