"""Join the ranges of one log: check sequence, links, tree and times, and compare with stored and recorded values."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.codec import chain_start, chained
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import HASH_BYTES
from answerable.verify.citations import Citations
from answerable.verify.leaf_rules import Fault
from answerable.verify.lease_entries import LeaseEntries
from answerable.verify.links import Pairing, Runs
from answerable.verify.log_signatures import KEPT
from answerable.verify.report import Finding, LedgerReport, Standing
from answerable.verify.spending import Spending
from answerable.verify.standing import caveats_of
from answerable.verify.tile_checks import UpperTiles
from answerable.verify.tiles import name_of
from answerable.verify.times import Times
from answerable.verify.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.ledger.head import Head
    from answerable.verify.entry_range import EntryRange, Orders
    from answerable.verify.log_signatures import Signatures
    from answerable.verify.report import Findings

_GAP_ENTRIES_MAX: Final = 100_000_000
_KNOWN_TAGS: Final = frozenset(int(tag) for tag in Tag)


class History:
    """Joins ranges in order. size: entries so far. is_public_part: whether payloads, chain and head are absent."""

    def __init__(
        self,
        orders: Orders,
        signatures: Signatures,
        head: Head | None,
        findings: Findings,
        *,
        step_back_ms: int,
        skew_ms: int,
        witnessed_since: int,
    ) -> None:
        self.size = 0
        self.is_public_part = False
        self._orders, self._signatures, self._head, self._findings = orders, signatures, head, findings
        self._witnessed_since = witnessed_since
        self._upper = None if orders.tiles is None else UpperTiles(orders.directory, orders.tiles, findings)
        self._tree = Tree(self._block)
        # False once entries are missing, since no root can be computed after that.
        self._is_whole = True
        self._chain = chain_start(signatures.origin)
        self._pairing = Pairing(mark=orders.mark, spending=Spending())
        self._runs, self._citations = Runs(), Citations()
        self._leases = LeaseEntries()
        self._times = Times(signatures.witnessed, step_back_ms=step_back_ms, skew_ms=skew_ms)
        self._tags: Counter[int] = Counter()
        self._compared = 0
        self._signed = 0
        self._root = b""
        self._torn_bytes = 0
        self.sizes = sorted({one.size for one in signatures.heads} | self._head_sizes())
        """The sizes at which the chain value is needed."""
        self._compare_roots()

    def join(self, entry_range: EntryRange) -> None:
        """Append the next range."""
        self._findings.join(entry_range.findings)
        if not entry_range.readable or not self._follows(entry_range):
            self._is_whole = False
            return
        self._torn_bytes = max(self._torn_bytes, entry_range.torn_bytes)
        self._tags.update(entry_range.tags)
        for index, fault in self._links(entry_range):
            self._findings.add(entry_range.fault_at(index, fault))
        for finding in self._times.faults(entry_range):
            self._findings.add(finding)
        if self._is_whole:
            sizes = takewhile(lambda size: size <= entry_range.stop, self._checkpoint_sizes())
            for _ in self._tree.grown(entry_range, sizes):
                self._compare_roots()
        self.size = entry_range.stop
        self._compare_chains(entry_range)
        self._compare_places(entry_range)

    def finished(self) -> LedgerReport:
        """Finish the checks after the last range, and return the report."""
        signatures = self._signatures
        for finding in self._times.rest():
            self._findings.add(finding)
        self._check_ends()
        if self._upper is not None and self._is_whole:
            self._upper.finish()
        open_total, open_intents = self._pairing.open_intents()
        witnessed = signatures.witnessed[-1] if signatures.witnessed else None
        standing = Standing(
            size=self.size,
            signed=self._signed,
            witnessed=0 if witnessed is None else witnessed.checkpoint.size,
            witnessed_at=0 if witnessed is None else witnessed.by,
            cosigners=() if witnessed is None else witnessed.cosigners,
            kept=signatures.kept_size,
            since=self._witnessed_since,
            key_given=signatures.key_given,
            policy_given=signatures.policy is not None,
            is_torn=bool(self._torn_bytes) or signatures.torn,
            is_public_part=self.is_public_part,
            lacks_tiles=self._head is not None
            and self._head.sealed is not None
            and self._orders.tiles is None,
            lacks_history=signatures.lacks_history,
            references_elsewhere=self._citations.elsewhere,
        )
        return LedgerReport(
            origin=signatures.origin,
            key=signatures.key.formatted() if signatures.key else "",
            standing=standing,
            checkpoints=signatures.count,
            root=self._root.hex(),
            errors=self._findings.counts["error"],
            warnings=self._findings.counts["warning"],
            findings=tuple(self._findings.kept),
            caveats=caveats_of(standing),
            open_intents=open_intents,
            open_intents_total=open_total,
            entries_by_tag=dict(self._tags),
            references=tuple(self._citations.outside.items()),
        )

    # --- sequence -------------------------------------------------------------------------------------

    def _follows(self, entry_range: EntryRange) -> bool:
        """Whether a range can be joined. If it does not continue from the last entry, record what is missing."""
        first, chain = entry_range.first, entry_range.chain_before
        if first == self.size and chain in (b"", self._chain):
            return True
        message = f"the segment continues from entry {first}, expected {self.size}"
        if first == self.size:
            message = "the segment continues another history"
        if entry_range.file:
            self._wrong("segment.sequence", message, entry_range.file, 16, 88, index=self.size)
        self._is_whole = self._is_whole and first == self.size
        self._chain = chain
        return 0 <= first - self.size <= _GAP_ENTRIES_MAX

    def _links(self, entry_range: EntryRange) -> Iterator[tuple[int, Fault]]:
        yield from self._pairing.joined(entry_range.pairing)
        yield from self._runs.joined(entry_range.runs)
        yield from self._citations.joined(entry_range.citations)
        yield from self._leases.joined(entry_range.leases)

    # --- tree -----------------------------------------------------------------------------------------

    def _block(self, root: bytes) -> None:
        if self._upper is not None:
            self._upper.take(root)

    def _checkpoint_sizes(self) -> Iterator[int]:
        """Yield the sizes of the checkpoints not compared yet, each once."""
        last = -1
        for signed in self._signatures.history[self._compared :]:
            if signed.checkpoint.size != last:
                last = signed.checkpoint.size
                yield last

    def _compare_roots(self) -> None:
        """Compare the tree with every checkpoint of its size."""
        history, tree = self._signatures.history, self._tree
        while self._compared < len(history) and history[self._compared].checkpoint.size == tree.size:
            signed = history[self._compared]
            self._compared += 1
            size = signed.checkpoint.size
            if signed.checkpoint.root == tree.root():
                self._signed, self._root = size, signed.checkpoint.root
                continue
            message = f"the first {size} entries do not hash to the root that was signed over them"
            self._wrong("checkpoint.root", message, signed.file, signed.start, signed.stop)

    # --- stored and recorded values -----------------------------------------------------------------------

    def _head_sizes(self) -> set[int]:
        head = self._head
        if head is None:
            return set()
        return {head.size} if head.sealed is None else {head.size, head.sealed.size}

    def _compare_chains(self, entry_range: EntryRange) -> None:
        chains = entry_range.chains
        if entry_range.chain:
            self._chain = entry_range.chain
        elif self.sizes and self.sizes[-1] > entry_range.first:
            chains = self._chains_over(entry_range)
        head = self._head
        if head is not None and chains.get(head.size, head.chain) != head.chain:
            self._wrong("head.history", "the head recorded another history", "head")
        if head is not None and head.sealed is not None:
            sealed = head.sealed
            if chains.get(sealed.size, sealed.chain) != sealed.chain:
                self._wrong("head.history", "the head recorded another history as sealed", "head")
        for kept in self._signatures.heads:
            if chains.get(kept.size, kept.chain) != kept.chain:
                message = f"the log had other entries up to {kept.size} when it acknowledged them"
                self._wrong("batch_head.history", message, KEPT, kept.start, kept.stop)

    def _chains_over(self, entry_range: EntryRange) -> dict[int, bytes]:
        """Compute chain values for ranges whose frames store none."""
        chains: dict[int, bytes] = {}
        wanted = set(self.sizes)
        for at in range(0, len(entry_range.hashes), HASH_BYTES):
            self._chain = chained(self._chain, entry_range.hashes[at : at + HASH_BYTES])
            size = entry_range.first + at // HASH_BYTES + 1
            if size in wanted:
                chains[size] = self._chain
        return chains

    def _compare_places(self, entry_range: EntryRange) -> None:
        """Compare the positions that the head names for the sealed end and for open intents with the actual ones."""
        head = self._head
        if head is None or head.sealed is None or not entry_range.offsets:
            return
        sealed, first, stop = head.sealed, entry_range.first, entry_range.stop
        if first < sealed.size <= stop and (sealed.segment, sealed.offset) != (
            first,
            entry_range.offsets[sealed.size - first],
        ):
            self._wrong(
                "head.sealed", "the head has another position for the end of the sealed entries", "head"
            )
        start = bisect_right(head.open, first - 1, key=lambda one: one.entry)
        for intent in head.open[start:]:
            if intent.entry >= stop:
                break
            if (intent.segment, intent.offset) != (first, entry_range.offsets[intent.entry - first]):
                self._wrong(
                    "head.open",
                    f"the head has another position for the intent of entry {intent.entry}",
                    "head",
                )

    def _check_ends(self) -> None:
        """Check that no signed, acknowledged or recorded entry is missing, and count entries of unknown tags."""
        beyond = [one for one in self._signatures.history if one.checkpoint.size > self.size]
        if beyond:
            last = beyond[-1]
            message = f"the checkpoints cover {last.checkpoint.size} entries, but only {self.size} are here"
            self._wrong("entries.missing", message, last.file, last.start, last.stop)
        acknowledged = [one for one in self._signatures.heads if one.size > self.size]
        if acknowledged:
            kept = acknowledged[-1]
            message = f"the log acknowledged {kept.size} entries, but only {self.size} are here"
            self._wrong("entries.missing", message, KEPT, kept.start, kept.stop)
        if self._head is not None and self._head.size > self.size:
            message = f"the head records {self._head.size} stored entries, but only {self.size} are here"
            self._wrong("entries.missing", message, "head")
        if not self.size:
            self._wrong("log.empty", "there are no ledger entries here")
        elif not self._findings.counts["error"]:
            self._check_open()
        self._check_tiles()
        unknown = sum(count for tag, count in self._tags.items() if tag not in _KNOWN_TAGS)
        if unknown:
            message = f"{unknown} entries are of kinds unknown to this version"
            self._findings.add(Finding(rule="tag.unknown", severity="note", message=message))

    def _check_open(self) -> None:
        """Check the head's list of open intents: a missing intent would never be settled. An intent that has ended
        since may be listed."""
        head = self._head
        if head is None or head.sealed is None:
            return
        sealed = head.sealed
        if sealed.size not in {one.checkpoint.size for one in self._signatures.history}:
            self._wrong(
                "head.sealed",
                (f"the head says that {sealed.size} entries are sealed, but no checkpoint covers them"),
                "head",
            )
        never, late = self._pairing.unended_at_mark()
        listed = {one.entry for one in head.open}
        due = never | {intent for intent, end in late.items() if end >= head.size}
        for intent in sorted(due - listed)[:1]:
            self._wrong("head.open", f"the head lacks the open intent of entry {intent}", "head")
        for intent in sorted(listed - never - late.keys())[:1]:
            self._wrong(
                "head.open", f"the head lists entry {intent} as an open intent, which it is not", "head"
            )

    def _check_tiles(self) -> None:
        tiles = self._orders.tiles
        if tiles is None:
            return
        for level in tiles.beyond(self.size):
            at = tiles.reach[level] - 1
            message = f"tiles of the log extend beyond its {self.size} entries"
            self._wrong("tile.beyond", message, name_of(level, at // 256, 256))
        for name in tiles.strangers:
            message = "there is a file among the tiles that is not a tile"
            self._findings.add(Finding(rule="tile.stranger", severity="note", message=message, file=name))

    def _wrong(
        self,
        rule: str,
        message: str,
        file: str | None = None,
        start: int | None = None,
        stop: int | None = None,
        *,
        index: int | None = None,
    ) -> None:
        self._findings.add(
            Finding(
                rule=rule, severity="error", message=message, index=index, file=file, start=start, stop=stop
            )
        )
