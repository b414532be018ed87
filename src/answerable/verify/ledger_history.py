"""Verify a copied ledger directory: every byte that matters, with nothing but the copy.

Laws:
- no code of the writer is used except the formats in `core`;
- a changed, deleted, inserted, reordered or forged entry below a checkpoint is an error that names the entry;
- the report states as a caveat whatever a copy alone cannot prove: entries that no checkpoint covers yet, a key that
  came with the log, and that newer entries or checkpoints may have been removed;
- only a witness's cosignature, under a policy that the caller gave, or notes that the caller stored remove that last
  caveat;
- memory grows by one byte an entry, and with the intents and runs that are still open.
"""

from __future__ import annotations

import re
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.ledger.head import HEAD_BYTES_MAX, Head
from answerable.core.tlog.tile import TILE_WIDTH
from answerable.errors import Malformed
from answerable.verify.bundles import BundlesTask, scanned_bundles
from answerable.verify.entry_range import Orders
from answerable.verify.history import History
from answerable.verify.log_signatures import read_signatures
from answerable.verify.parallel import in_order
from answerable.verify.report import Finding, Findings
from answerable.verify.segments import SegmentScanner, SegmentTask
from answerable.verify.small_files import content_of_small
from answerable.verify.tiles import listed_tiles, missing_edge

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.policy import Policy
    from answerable.verify.entry_range import EntryRange
    from answerable.verify.log_signatures import Signatures, Signed
    from answerable.verify.report import LedgerReport

CLOCK_STEP_BACK_MS_MAX: Final = 5_000
"""How far a wall clock may step back between entries, in milliseconds, before the report mentions it."""
CLOCK_SKEW_MS_MAX: Final = 60_000
"""How far the clocks of writer and witnesses may differ, in milliseconds, including a witness's response time."""
PARALLEL_BYTES_MIN: Final = 48 * 1_048_576
"""Below this size, one process finishes before others have started."""
_BUNDLES_PER_TASK: Final = 256
_SEGMENT_NAME: Final = re.compile(r"[0-9a-f]{16}\.wal")


class Progress(NamedTuple):
    """Entries checked so far, and the bytes read of all bytes."""

    entries: int
    read_bytes: int
    all_bytes: int


def verify_ledger(
    directory: Path,
    *,
    key: VerifierKey | None = None,
    policy: Policy | None = None,
    kept: bytes | None = None,
    covered: Sequence[Signed] = (),
    witnessed_since: int = 0,
    clock_step_back_ms_max: int = CLOCK_STEP_BACK_MS_MAX,
    clock_skew_ms_max: int = CLOCK_SKEW_MS_MAX,
    processes: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> LedgerReport:
    """Check everything in a ledger directory. Never raises for the directory's content.

    key: the log's key, known from another source; without it, and without a policy that names one, the key stored
    beside the log is used and the report says so. policy: whose cosignatures count, and how many. kept: checkpoints and
    batch heads of this log that the caller stored, separated by empty lines; the log must lead to them. covered:
    verified checkpoints of the log from a log of logs, to which it must lead, too. witnessed_since: Unix milliseconds;
    the log counts as complete only with a cosignature at or after this time. processes: how many may share a long log;
    more than one needs an importable main module. progress: called from time to time.

    Raises OSError if a file cannot be read, and Unavailable (`verify.process`) if one of the processes was killed.
    """
    findings = Findings()
    # Read the head first, since it is written last: a log written meanwhile has at least the entries of its head.
    stated = _stated_head(directory)
    signatures = read_signatures(directory, key, policy, kept, findings.add)
    if covered:
        signatures.history = sorted((*signatures.history, *covered), key=lambda one: one.checkpoint.size)
    head = _own_head(stated, signatures, findings)
    tiles = listed_tiles(directory, signatures.published)
    orders = Orders(
        directory=directory,
        origin=signatures.origin,
        key=signatures.key.formatted() if signatures.key is not None else "",
        promised=_promised(signatures, head),
        mark=head.sealed.size if head is not None and head.sealed is not None else 0,
        tiles=tiles,
    )
    history = History(
        orders,
        signatures,
        head,
        findings,
        step_back_ms=clock_step_back_ms_max,
        skew_ms=clock_skew_ms_max,
        witnessed_since=witnessed_since,
    )
    if tiles is not None:
        for name in missing_edge(directory, tiles):
            message = "a tile of the published log is missing"
            findings.add(Finding(rule="tile.missing", severity="error", message=message, file=name))
    names = _segments(directory)
    if names:
        stretches, all_bytes = _from_segments(orders, names, history.sizes, processes)
    else:
        stretches, all_bytes = _from_bundles(orders, processes)
        history.is_public_part = tiles is not None
    read_bytes = 0
    with closing(stretches):
        for entry_range in stretches:
            history.join(entry_range)
            read_bytes += entry_range.read_bytes
            if progress is not None:
                progress(Progress(history.size, read_bytes, all_bytes))
    return history.finished()


def _segments(directory: Path) -> list[str]:
    wal = directory / "wal"
    names = sorted(path.name for path in wal.iterdir()) if wal.is_dir() else []
    # Reading a pipe with the name of a segment would never end.
    return [name for name in names if _SEGMENT_NAME.fullmatch(name) and (wal / name).is_file()]


def _from_segments(
    orders: Orders, names: list[str], sizes: Sequence[int], processes: int
) -> tuple[Generator[EntryRange, None, None], int]:
    starts = [int(name[:16], 16) for name in names]
    tasks = [
        SegmentTask(
            name=name,
            is_last=number == len(names) - 1,
            sizes=tuple(one for one in sizes if start < one <= stop),
        )
        for number, (name, start, stop) in enumerate(zip(names, starts, [*starts[1:], 2**64], strict=True))
    ]
    all_bytes = sum((orders.directory / "wal" / name).stat().st_size for name in names)
    if all_bytes < PARALLEL_BYTES_MIN:
        processes = 1
    return in_order(SegmentScanner(orders), tasks, processes=processes), all_bytes


def _from_bundles(orders: Orders, processes: int) -> tuple[Generator[EntryRange, None, None], int]:
    """Check the public part of a log. Its size in bytes is not known before it is read."""
    size = orders.tiles.published if orders.tiles is not None else 0
    # No log is longer than its tiles, whatever its checkpoint states.
    count = min(-(-size // TILE_WIDTH), orders.tiles.bundles if orders.tiles is not None else 0)
    tasks = [
        BundlesTask(first=first, stop=min(first + _BUNDLES_PER_TASK, count), size=size)
        for first in range(0, count, _BUNDLES_PER_TASK)
    ]
    return in_order(partial(scanned_bundles, orders), tasks, processes=processes), 0


def _stated_head(directory: Path) -> Head | Malformed | None:
    try:
        return Head.parse(content_of_small(directory / "head", HEAD_BYTES_MAX))
    except FileNotFoundError:
        return None
    except Malformed as error:
        return error


def _own_head(stated: Head | Malformed | None, signatures: Signatures, findings: Findings) -> Head | None:
    """Return the head, if there is a key for the log. A wrong head is a finding."""
    if stated is None or signatures.key is None:
        return None
    if isinstance(stated, Malformed):
        findings.add(Finding(rule="head.damaged", severity="error", message=stated.message, file="head"))
        return None
    if stated.origin != signatures.origin:
        message = "the head belongs to another log"
        findings.add(Finding(rule="head.origin", severity="error", message=message, file="head"))
        return None
    return stated


def _promised(signatures: Signatures, head: Head | None) -> int:
    """Return the number of entries that were signed over or recorded as stored."""
    sizes = [one.checkpoint.size for one in signatures.history] + [one.size for one in signatures.heads]
    return max([*sizes, head.size if head is not None else 0])
