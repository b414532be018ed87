"""Verify a copied ledger directory: every byte of it that matters, with nothing but the copy.

Laws:
- nothing of the writer's code is used but the formats in `core`;
- a changed, deleted, inserted, reordered or forged entry below a checkpoint is an error that names it;
- what a copy alone cannot show is said as a caveat, never passed over: entries that no checkpoint covers yet, a key
  that came with the log, and that newer entries or checkpoints were taken away.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.codec import (
    SEGMENT_BYTES_MAX,
    SEGMENT_HEADER_BYTES,
    Frame,
    SegmentHeader,
    chain_start,
    chained,
    damaged_frame,
    decode_frame,
    origin_hash,
    tail_after,
)
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import CompactRange, leaf_hash
from answerable.errors import Malformed, Unverified, shown
from answerable.verify.leaf_rules import (
    Fault,
    GenesisLeaf,
    Leaf,
    Pairing,
    RecoveryLeaf,
    payload_fault,
    read_leaf,
)
from answerable.verify.log_signatures import KEPT, Signatures, read_signatures
from answerable.verify.report import Caveat, Finding, LedgerReport, Severity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.core.tlog.note import VerifierKey

FINDINGS_MAX: Final = 200
"""Kept of each severity; all are counted."""
CLOCK_STEP_BACK_MS_MAX: Final = 5_000
"""How far a wall clock may step back between entries before it is mentioned."""
_GAP_ENTRIES_MAX: Final = 100_000_000
_PROGRESS_ENTRIES: Final = 4096
_SEGMENT_NAME: Final = re.compile(r"[0-9a-f]{16}\.wal")
_KNOWN_TAGS: Final = frozenset(int(tag) for tag in Tag)


def verify_ledger(
    directory: Path,
    *,
    key: VerifierKey | None = None,
    kept_checkpoint: bytes | None = None,
    clock_step_back_ms_max: int = CLOCK_STEP_BACK_MS_MAX,
    progress: Callable[[int, int], None] | None = None,
) -> LedgerReport:
    """Check everything in a ledger directory. Never raises for what it finds there.

    key: the log's, known from elsewhere; without it the one beside the log is used and the report says so.
    kept_checkpoint: a checkpoint of this log that the caller kept, which the log must still lead to. progress: called
    now and then with entries and bytes read so far. Raises OSError where a file cannot be read.
    """
    check = _Verification(directory, clock_step_back_ms_max, progress)
    check.run(key, kept_checkpoint)
    return check.report()


class _Verification:
    def __init__(
        self, directory: Path, step_back_ms: int, progress: Callable[[int, int], None] | None
    ) -> None:
        self._directory = directory
        self._step_back_ms = step_back_ms
        self._progress = progress
        self._findings: list[Finding] = []
        self._counts: Counter[Severity] = Counter()
        self._signatures = Signatures()
        self._pairing = Pairing()
        self._tags: Counter[int] = Counter()
        self._tree = CompactRange()
        # False once entries are missing, so that no root can be worked out any more.
        self._tree_is_whole = True
        self._chain = b""
        self._index = 0
        self._compared = 0
        self._signed = 0
        self._root = b""
        self._latest_at = 0
        self._bytes_before = 0
        self._torn_bytes = 0
        self._looked_for_torn = False

    def run(self, key: VerifierKey | None, kept_checkpoint: bytes | None) -> None:
        """Walk the log once."""
        self._signatures = read_signatures(self._directory, key, kept_checkpoint, self._found)
        wal = self._directory / "wal"
        names = sorted(path.name for path in wal.iterdir()) if wal.is_dir() else []
        names = [name for name in names if _SEGMENT_NAME.fullmatch(name)]
        self._chain = chain_start(self._signatures.origin)
        self._compare_roots()
        for name in names:
            self._segment(wal / name, is_last=name == names[-1])
        if not self._index:
            self._found(
                Finding(rule="log.empty", severity="error", message="there are no ledger entries here")
            )
        self._check_ends()

    def report(self) -> LedgerReport:
        """What was found."""
        signatures = self._signatures
        open_total, open_intents = self._pairing.open_intents()
        return LedgerReport(
            origin=signatures.origin,
            key=signatures.key.formatted() if signatures.key else "",
            key_given=signatures.key_given,
            size=self._index,
            signed=self._signed,
            checkpoints=signatures.count,
            root=self._root.hex(),
            errors=self._counts["error"],
            warnings=self._counts["warning"],
            findings=tuple(self._findings),
            caveats=self._caveats(),
            open_intents=open_intents,
            open_intents_total=open_total,
            entries_by_tag=dict(self._tags),
        )

    def _segment(self, path: Path, *, is_last: bool) -> None:
        name = f"wal/{path.name}"
        size = path.stat().st_size
        content = path.read_bytes() if size <= SEGMENT_BYTES_MAX else b""
        if not self._header(name, content):
            return
        offset = SEGMENT_HEADER_BYTES
        while True:
            try:
                frame = decode_frame(content, offset)
            except (Malformed, Unverified) as error:
                frame = damaged_frame(content, offset)
                if frame is None or self._is_torn(content, offset, is_last=is_last):
                    break
                self._wrong("entry.damaged", error.message, name, offset, frame.end)
                self._chain = frame.chain
                self._count(leaf_hash(frame.leaf))
            else:
                if frame is None:
                    break
                self._entry(name, offset, frame)
            offset = frame.end
            if self._progress is not None and self._index % _PROGRESS_ENTRIES == 0:
                self._progress(self._index, self._bytes_before + offset)
        self._tail(name, content, offset, is_last=is_last)
        self._bytes_before += len(content)

    def _header(self, name: str, content: bytes) -> bool:
        """Check a segment's header; where it does not go on from the entry before, note what is missing and jump."""
        try:
            header = SegmentHeader.parse(content)
        except (Malformed, Unverified) as error:
            self._wrong("segment.header", error.message, name, 0, SEGMENT_HEADER_BYTES)
            self._tree_is_whole = False
            return False
        if header.origin_hash != origin_hash(self._signatures.origin):
            self._wrong("segment.origin", "the segment belongs to another log", name, 24, 56)
        if name != f"wal/{header.first_index:016x}.wal":
            self._wrong("segment.name", f"the segment starts at entry {header.first_index}", name, 16, 24)
        if (header.first_index, header.chain) != (self._index, self._chain):
            message = f"the segment goes on from entry {header.first_index}, expected {self._index}"
            if header.first_index == self._index:
                message = "the segment goes on from another history"
            self._wrong("segment.sequence", message, name, 16, 88)
            self._tree_is_whole = self._tree_is_whole and header.first_index == self._index
            self._chain = header.chain
            if 0 < header.first_index - self._index <= _GAP_ENTRIES_MAX:
                self._index = header.first_index
        return True

    def _entry(self, name: str, offset: int, frame: Frame) -> None:
        hashed = leaf_hash(frame.leaf)
        if chained(self._chain, hashed) != frame.chain:
            message = "the entry does not follow the one before it"
            self._wrong("entry.sequence", message, name, offset, frame.end)
        self._chain = frame.chain
        fault = self._content_fault(frame, hashed)
        if fault is not None:
            self._wrong(fault.rule, fault.message, name, offset, frame.end)
        self._count(hashed)

    def _content_fault(self, frame: Frame, hashed: bytes) -> Fault | None:
        """Check leaf and payload; follow tags, clock and pairing."""
        leaf = read_leaf(frame.leaf)
        if isinstance(leaf, Fault):
            return leaf
        self._tags[leaf.tag] += 1
        if leaf.at < self._latest_at - self._step_back_ms:
            message = f"the clock stepped back by {self._latest_at - leaf.at} ms"
            self._found(Finding(rule="clock.back", severity="warning", message=message, index=self._index))
        self._latest_at = max(self._latest_at, leaf.at)
        fault = payload_fault(leaf, frame.attachment) or self._pairing.fault(self._index, leaf, hashed)
        return fault or self._place_fault(leaf)

    def _place_fault(self, leaf: Leaf) -> Fault | None:
        """Genesis stands first and names this log; an entry on reopening states the size that it found."""
        if (leaf.tag == Tag.GENESIS) != (self._index == 0):
            return Fault("genesis.place", "the genesis entry is the first one, and only that")
        key = self._signatures.key
        if (
            isinstance(leaf, GenesisLeaf)
            and key is not None
            and (leaf.origin, leaf.key) != (key.name, key.formatted())
        ):
            return Fault("genesis.key", f"the genesis entry names another log or key: {shown(leaf.origin)}")
        if isinstance(leaf, RecoveryLeaf) and leaf.size != self._index:
            return Fault("recovery.size", f"it was written when the log had {leaf.size} entries")
        return None

    def _count(self, hashed: bytes) -> None:
        self._tree.append(hashed)
        self._index += 1
        head = self._signatures.head
        if head is not None and head.size == self._index and head.chain != self._chain:
            self._found(
                Finding(rule="head.history", severity="error", message="the head recorded another history")
            )
        self._compare_roots()

    def _compare_roots(self) -> None:
        """Compare the tree with every checkpoint of this size."""
        history = self._signatures.history
        while self._compared < len(history) and history[self._compared].checkpoint.size <= self._index:
            signed = history[self._compared]
            self._compared += 1
            if not self._tree_is_whole:
                continue
            if signed.checkpoint.root == self._tree.root():
                self._signed, self._root = signed.checkpoint.size, signed.checkpoint.root
                continue
            size = signed.checkpoint.size
            message = f"the first {size} entries do not hash to the root that was signed over them"
            self._found(
                Finding(
                    rule="checkpoint.root",
                    severity="error",
                    message=message,
                    file=signed.file,
                    start=signed.start,
                    stop=signed.stop,
                )
            )

    def _tail(self, name: str, content: bytes, offset: int, *, is_last: bool) -> None:
        """Judge what follows the last whole entry of a segment."""
        tail = tail_after(content, offset, next_index=self._index)
        if tail.state == "clean":
            return
        if tail.state == "corrupt" or not self._may_be_torn(is_last=is_last):
            self._wrong("entry.damaged", tail.fault, name, offset, tail.end)
            return
        self._torn_bytes = tail.end - offset
        self._found(
            Finding(
                rule="entry.torn",
                severity="warning",
                message=f"the last entry was not completely written: {tail.fault}",
                index=self._index,
                file=name,
                start=offset,
                stop=tail.end,
            )
        )

    def _may_be_torn(self, *, is_last: bool) -> bool:
        """Only what was neither signed over nor recorded as stored can have been cut off while it was written."""
        signatures = self._signatures
        promised = max((one.checkpoint.size for one in signatures.history), default=0)
        if signatures.head is not None:
            promised = max(promised, signatures.head.size)
        return is_last and self._index >= promised

    def _is_torn(self, content: bytes, offset: int, *, is_last: bool) -> bool:
        """Whether the damaged entry at `offset` is a torn end. Looked at once, as it means a walk over all the rest."""
        if self._looked_for_torn or not self._may_be_torn(is_last=is_last):
            return False
        self._looked_for_torn = True
        return tail_after(content, offset, next_index=self._index).state == "torn"

    def _check_ends(self) -> None:
        """What was signed or recorded must be here, and entries of unknown kinds are mentioned."""
        signatures = self._signatures
        beyond = signatures.history[self._compared :]
        if beyond:
            largest = beyond[-1]
            message = f"{largest.checkpoint.size} entries were signed over, {self._index} are here"
            self._found(Finding(rule="entries.missing", severity="error", message=message, file=largest.file))
        if signatures.head is not None and signatures.head.size > self._index:
            message = f"{signatures.head.size} entries were recorded as stored, {self._index} are here"
            self._found(Finding(rule="entries.missing", severity="error", message=message, file="head"))
        unknown = sum(count for tag, count in self._tags.items() if tag not in _KNOWN_TAGS)
        if unknown:
            message = f"{unknown} entries are of kinds that this version does not know"
            self._found(Finding(rule="tag.unknown", severity="note", message=message))

    def _caveats(self) -> tuple[Caveat, ...]:
        """What this copy alone cannot show."""
        signatures, caveats = self._signatures, []
        if not signatures.key_given:
            text = "the key came with the log: that it is the right one must be learnt elsewhere"
            caveats.append(Caveat(code="key_not_given", message=text))
        if self._index > self._signed:
            text = f"the last {self._index - self._signed} entries are not yet signed over"
            caveats.append(Caveat(code="unsigned_tail", message=text))
        if self._torn_bytes or signatures.torn:
            text = "a write was cut off at the end, as by a power cut; nothing had been promised about it"
            caveats.append(Caveat(code="torn_tail", message=text))
        if signatures.kept_size < self._index:
            known = (
                f"the {KEPT} reaches entry {signatures.kept_size}"
                if signatures.kept_size >= 0
                else "no witness"
            )
            text = f"newer entries and checkpoints may have been taken away ({known}): only a witness can exclude that"
            caveats.append(Caveat(code="newer_removed", message=text))
        return tuple(caveats)

    def _found(self, finding: Finding) -> None:
        self._counts[finding.severity] += 1
        if self._counts[finding.severity] <= FINDINGS_MAX:
            self._findings.append(finding)

    def _wrong(self, rule: str, message: str, file: str, start: int, stop: int) -> None:
        index = self._index
        self._found(
            Finding(
                rule=rule, severity="error", message=message, index=index, file=file, start=start, stop=stop
            )
        )
