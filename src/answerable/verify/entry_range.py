"""Check a range of entries independently of the rest of the log, so that ranges can be checked in parallel."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import node_hash
from answerable.errors import shown
from answerable.verify.citations import Citations
from answerable.verify.leaf_rules import Fault, payload_fault, read_leaf
from answerable.verify.leaf_shapes import EndLeaf, GenesisLeaf, IntentLeaf, RecoveryLeaf
from answerable.verify.leaf_types import Leaf
from answerable.verify.lease_entries import LeaseEntries
from answerable.verify.links import Pairing, Runs
from answerable.verify.report import Finding, Findings
from answerable.verify.spending import Spending

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from answerable.verify.tiles import TilesThere

_PLACED: Final = (Tag.GENESIS, Tag.RECOVERY)
_ABOUT_MANDATES: Final = (Tag.MANDATE_ISSUED, Tag.MANDATE_CLOSED)
BLOCK_ENTRIES: Final = 256
"""Entries of one tile or bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What every range is checked against. key: of the log, from its genesis entry; empty if there is none. promised:
    number of entries that were signed over or recorded as stored. mark: see `Pairing`. tiles: None if the directory has
    none."""

    directory: Path
    origin: str
    key: str
    promised: int
    mark: int
    tiles: TilesThere | None


@dataclass(slots=True, kw_only=True)
class EntryRange:
    """The result of reading a range of entries, from entry `first` on.

    readable: False if the content of the range cannot be determined. file: the file of the range, relative to the log;
    offsets: of each entry in this file, and of the end; empty if the entries have no file of their own. hashes: leaf
    hashes. blocks: roots of each complete aligned block of entries. ats: the entries' times. chain_before, chain: chain
    values before and after the range, empty if none are stored. chains: chain values by size, for the requested sizes.
    torn_bytes: bytes of an incomplete last write.
    """

    file: str
    first: int
    readable: bool = True
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    hashes: bytes = b""
    blocks: bytes = b""
    ats: array[int] = field(default_factory=lambda: array("q"))
    chain_before: bytes = b""
    chain: bytes = b""
    chains: dict[int, bytes] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    tags: dict[int, int] = field(default_factory=dict)
    pairing: Pairing = field(default_factory=Pairing)
    runs: Runs = field(default_factory=Runs)
    citations: Citations = field(default_factory=Citations)
    leases: LeaseEntries = field(default_factory=LeaseEntries)
    torn_bytes: int = 0
    read_bytes: int = 0

    @property
    def stop(self) -> int:
        """The index after the last entry."""
        return self.first + len(self.ats)

    def fault_at(self, index: int, fault: Fault) -> Finding:
        """Return the finding for a fault of an entry, with its position in the file."""
        at = index - self.first
        known = 0 <= at < len(self.offsets) - 1
        return Finding(
            rule=fault.rule,
            severity="error",
            message=fault.message,
            index=index,
            file=self.file or None,
            start=self.offsets[at] if known else None,
            stop=self.offsets[at + 1] if known else None,
        )


class Reading:
    """Takes entries in order and feeds them to every check."""

    def __init__(self, orders: Orders, first: int) -> None:
        self.index = first
        self.hashes: list[bytes] = []
        self.ats = array("q")
        self.tags: dict[int, int] = {}
        self.pairing = Pairing(first, mark=orders.mark, spending=Spending())
        self.runs = Runs(first)
        self.citations = Citations(first)
        self.leases = LeaseEntries(first)
        self._first = first
        self._origin, self._key = orders.origin, orders.key
        self._latest = 0

    def take(self, encoded: bytes, hashed: bytes, attachment: bytes | None) -> Fault | None:
        """Take the next entry and return its first fault. attachment: None if it is not available to check."""
        index = self.index
        self.index = index + 1
        self.hashes.append(hashed)
        leaf = read_leaf(encoded)
        if isinstance(leaf, Fault):
            self.ats.append(self._latest)
            return leaf
        tag = leaf.tag
        self._latest = leaf.at
        self.ats.append(leaf.at)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        # Run every check, even after a fault: later entries depend on the state that each check records.
        stored = None if attachment is None else payload_fault(leaf, attachment)
        in_run = None if leaf.run is UNSET else self.runs.fault(index, leaf, hashed)
        linked = placed = None
        if isinstance(leaf, IntentLeaf):
            linked = self.pairing.begun(index, leaf, hashed) or self.citations.referred(index, leaf)
            self.leases.fault(index, leaf)
        elif isinstance(leaf, EndLeaf):
            linked = self.pairing.ended(index, leaf)
        elif tag == Tag.LEASE:
            linked = self.leases.fault(index, leaf)
        else:
            linked = self.citations.fault(index, leaf, hashed)
            if tag in _ABOUT_MANDATES:
                self.pairing.noted(index, leaf)
        if not index or tag in _PLACED:
            placed = self._place_fault(index, leaf)
        return stored or linked or in_run or placed

    def pass_over(self, hashed: bytes) -> None:
        """Count an entry whose bytes are known to be damaged."""
        self.index += 1
        self.hashes.append(hashed)
        self.ats.append(self._latest)

    def result(self, entry_range: EntryRange) -> EntryRange:
        """Copy the state of every check into `entry_range` and return it."""
        entry_range.hashes, entry_range.blocks = b"".join(self.hashes), self._block_roots()
        entry_range.ats, entry_range.tags = self.ats, self.tags
        entry_range.pairing, entry_range.runs, entry_range.citations = self.pairing, self.runs, self.citations
        entry_range.leases = self.leases
        return entry_range

    def _block_roots(self) -> bytes:
        start = -self._first % BLOCK_ENTRIES
        hashes = self.hashes
        stops = range(start + BLOCK_ENTRIES, len(hashes) + 1, BLOCK_ENTRIES)
        return b"".join(complete_root(hashes[stop - BLOCK_ENTRIES : stop]) for stop in stops)

    def _place_fault(self, index: int, leaf: Leaf) -> Fault | None:
        """Check that the genesis entry is the first and names this log, and that a recovery entry states the size it
        found."""
        if (leaf.tag == Tag.GENESIS) != (index == 0):
            return Fault(
                "genesis.place", ("the genesis entry must be the first entry, and no other entry may be one")
            )
        if isinstance(leaf, GenesisLeaf):
            if self._key and (leaf.origin, leaf.key) != (self._origin, self._key):
                return Fault(
                    "genesis.key", f"the genesis entry names another log or key: {shown(leaf.origin)}"
                )
        elif isinstance(leaf, RecoveryLeaf) and leaf.size != index:
            return Fault("recovery.size", f"it was written when the log had {leaf.size} entries")
        return None


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of subtrees of equal size."""
    level = hashes
    while len(level) > 1:
        pairs = iter(level)
        level = [node_hash(left, right) for left, right in zip(pairs, pairs, strict=True)]
    return level[0]
