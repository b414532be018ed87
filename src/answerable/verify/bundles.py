"""Check entries from the public part of a log alone: leaves and tree, without payloads, chain and batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.tile import TILE_WIDTH, decode_bundle
from answerable.errors import Malformed
from answerable.verify.entry_range import EntryRange, Reading
from answerable.verify.report import Finding
from answerable.verify.tile_checks import block_check
from answerable.verify.tiles import BUNDLE_BYTES_MAX, ENTRIES, content_of, name_of

if TYPE_CHECKING:
    from answerable.verify.entry_range import Orders


@dataclass(frozen=True, slots=True, kw_only=True)
class BundlesTask:
    """The bundles from `first` up to, but not including, `stop`, of a log of `size` entries."""

    first: int
    stop: int
    size: int


def scanned_bundles(orders: Orders, task: BundlesTask) -> EntryRange:
    """Check the bundles of a task in order, and stop at the first that cannot be read. Raises OSError."""
    entry_range = EntryRange(file="", first=task.first * TILE_WIDTH)
    reading = Reading(orders, entry_range.first)
    blocks = block_check(orders, reading, entry_range)
    for index in range(task.first, task.stop):
        width = min(TILE_WIDTH, task.size - index * TILE_WIDTH)
        name, leaves = _bundle(orders, entry_range, index, width)
        if leaves is None:
            break
        offset = 0
        for leaf in leaves:
            hashed, at = leaf_hash(leaf), reading.index
            fault = reading.take(leaf, hashed, None)
            stop = offset + 2 + len(leaf)
            if fault is not None:
                entry_range.findings.add(
                    Finding(
                        rule=fault.rule,
                        severity="error",
                        message=fault.message,
                        index=at,
                        file=name,
                        start=offset,
                        stop=stop,
                    )
                )
            if blocks is not None:
                blocks.take(leaf)
            offset = stop
        entry_range.read_bytes += offset
    if blocks is not None:
        blocks.finish()
    return reading.result(entry_range)


def _bundle(
    orders: Orders, entry_range: EntryRange, index: int, width: int
) -> tuple[str, list[bytes] | None]:
    """Return the file name and the first `width` leaves of a bundle, from the partial bundle or from the full bundle
    that replaced it. The leaves are None if no bundle can be read."""
    for wanted in dict.fromkeys((width, TILE_WIDTH)):
        name = name_of(ENTRIES, index, wanted)
        content = content_of(orders.directory, name, BUNDLE_BYTES_MAX)
        if content is None:
            continue
        try:
            return name, decode_bundle(content, count=wanted)[:width]
        except Malformed as error:
            entry_range.findings.add(
                Finding(rule="tile.bundle", severity="error", message=error.message, file=name)
            )
            return name, None
    name = name_of(ENTRIES, index, width)
    entry_range.findings.add(
        Finding(
            rule="tile.missing",
            severity="error",
            message="a bundle of the published log is missing",
            file=name,
        )
    )
    return name, None
