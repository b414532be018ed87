"""Create checkpoints: read stored bytes, hash them into tiles, read the tiles, and sign their root.

Laws:
- nothing is signed that was not read from its file and found to have the chain value that was acknowledged, and to
  continue the tree that was signed before;
- the signed root is computed from tiles as they are in their files.

Reads go through the page cache, so a disk that loses writes is detected at the next opening, not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from answerable.adapters.tlog_files.growth import Growth
from answerable.adapters.tlog_files.places import Extent
from answerable.adapters.tlog_files.reading import corrupt, stored_frames
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES, chain_start, checked_link
from answerable.core.ledger.open_intents import OpenIntents
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.merkle import EMPTY_ROOT, leaf_hash
from answerable.core.tlog.note import ML_DSA_44_COSIGNATURE, Note, VerifierKey, signed_note
from answerable.core.tlog.tile import TileName, edge_from_tiles
from answerable.errors import Malformed, Unverified, shown
from answerable.errors.codes.ledger import LEDGER_ROOT_MISMATCH
from answerable.errors.codes.tlog import NOTE_KEY_NAME, NOTE_KEY_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.adapters.tlog_files.places import Place
    from answerable.adapters.tlog_files.tiles import TileFiles
    from answerable.core.ledger.codec import Frame
    from answerable.core.ledger.head import OpenIntent
    from answerable.ports.clock import Clock

PORTION_FILES_MAX: Final = 64
PORTION_BYTES_MAX: Final = 4 * 1_048_576

Portion: TypeAlias = list[tuple[TileName, bytes]]
"""Tiles that must be in their files before the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondKey:
    """A second key of the log: ML-DSA-44, under the same name. sign: takes bytes, returns the signature.

    Raises Malformed (`note.key_type`) for a key of another type.
    """

    key: VerifierKey
    sign: Callable[[bytes], bytes]

    def __post_init__(self) -> None:
        if self.key.kind != ML_DSA_44_COSIGNATURE:
            raise NOTE_KEY_TYPE(f"key of {shown(self.key.name)} is no ml-dsa-44 key")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSigner:
    """Signs the checkpoints of one log: with its Ed25519 key, and with a second key if the log has one."""

    key: VerifierKey
    sign: Callable[[bytes], bytes]
    clock: Clock
    second: SecondKey | None = None

    def __post_init__(self) -> None:
        if self.second is not None and self.second.key.name != self.key.name:
            raise NOTE_KEY_NAME(
                f"second key of {shown(self.second.key.name)}, expected {shown(self.key.name)}"
            )

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """The verifier keys, the Ed25519 key first."""
        return (self.key,) if self.second is None else (self.key, self.second.key)

    def note(self, *, size: int, root: bytes) -> bytes:
        """Return a signed checkpoint with verified signatures. Raises Unverified if a signer produces an invalid
        signature."""
        text = Checkpoint(origin=self.key.name, size=size, root=root).text()
        note = signed_note(text, key=self.key, sign=self.sign)
        if self.second is not None:
            seconds = self.clock.now() // 1000
            more = cosignature(text, key=self.second.key, timestamp=seconds, sign=self.second.sign)
            note = Note(text=text, signatures=(*note.signatures, more))
        note.verify(self.keys)
        return note.encoded()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An extent with its root, its signed checkpoint (None before the first), and the intents open at that point.

    full: tiles that became full since the last seal, whose partial tiles can be deleted.
    """

    extent: Extent
    root: bytes
    note: bytes | None
    open: tuple[OpenIntent, ...]
    full: tuple[TileName, ...] = ()


def nothing_sealed(origin: str) -> Sealed:
    """Return the state of a log without a checkpoint."""
    return Sealed(extent=Extent(size=0, chain=chain_start(origin)), root=EMPTY_ROOT, note=None, open=())


class Sealing:
    """One pass from the sealed state to a later extent.

    tiled: whether the tiles of the sealed state are correct; if not, the pass starts at entry 0.
    """

    def __init__(
        self, signer: LogSigner, places: list[Place], tiles: TileFiles, *, sealed: Sealed, tiled: bool
    ) -> None:
        self._signer, self._places, self._tiles = signer, places, tiles
        self._sealed = sealed
        start = sealed if tiled else nothing_sealed(signer.key.name)
        self._growth = Growth.stored(tiles, start.extent.size)
        self._open = OpenIntents(start.open)
        self._at = start.extent
        self._check_signed_root()

    def steps(self, to: Extent, slice_entries: int) -> Iterator[Portion | Sealed | None]:
        """Read and hash up to `to`: yield None after each slice, a portion whenever tiles must be written, and at last
        the new signed state, directly after the tiles of the right edge.

        Raises Broken (`ledger.corrupt`, `ledger.root_mismatch`); OSError passes through.
        """
        growth = self._growth
        chain, offset = self._at.chain, self._at.offset
        for number in range(self._at.segment, to.segment + 1):
            place = self._places[number]
            last = to.size if number == to.segment else self._places[number + 1].first_index
            for after, frame in stored_frames(place.path, offset, last - growth.size):
                chain = self._taken(place, offset, frame, chain)
                offset = after
                if growth.size == self._sealed.extent.size < to.size:
                    # Only a pass from entry 0 reaches this: it restores the tiles of the published state.
                    self._check_signed_root()
                    yield from self._portions([*growth.taken(), *growth.partials()])
                if growth.size % slice_entries == 0:
                    yield self._portion_due()
            if number < to.segment:
                offset = SEGMENT_HEADER_BYTES
        self._check_signed_root()
        if (growth.size, chain, offset) != (to.size, to.chain, to.offset):
            fault = "stored entries are not those acknowledged"
            raise corrupt(self._places[to.segment].path, to.offset, fault)
        yield from self._portions([*growth.taken(), *growth.partials()])
        yield self._signed(to)

    def _taken(self, place: Place, offset: int, frame: Frame, chain: bytes) -> bytes:
        """Add one entry; return the chain value after it."""
        growth = self._growth
        hashed = leaf_hash(frame.leaf)
        try:
            chain = checked_link(frame, chain=chain, leaf_hash=hashed)
            self._open.saw(frame.leaf, growth.size, place.first_index, offset)
        except (Unverified, Malformed) as error:
            raise corrupt(place.path, offset, error.message, index=growth.size) from None
        growth.append(frame.leaf, hashed)
        return chain

    def _portion_due(self) -> Portion | None:
        ready = self._growth.ready
        if len(ready) < PORTION_FILES_MAX and sum(len(one) for _, one in ready) < PORTION_BYTES_MAX:
            return None
        return self._growth.taken()

    def _portions(self, contents: Portion) -> Iterator[Portion]:
        for start in range(0, len(contents), PORTION_FILES_MAX):
            yield contents[start : start + PORTION_FILES_MAX]

    def _check_signed_root(self) -> None:
        """Check that the pass reproduces the signed root at the sealed size."""
        size = self._sealed.extent.size
        if self._growth.size == size and self._growth.root() != self._sealed.root:
            raise LEDGER_ROOT_MISMATCH(
                f"the tree over the first {size} entries does not have the root that was signed over them"
            )

    def _signed(self, to: Extent) -> Sealed:
        root = edge_from_tiles(to.size, self._tiles.read).root()
        if root != self._growth.root():
            raise LEDGER_ROOT_MISMATCH(f"the tiles over {to.size} entries are not those that were written")
        same = to.size == self._sealed.extent.size
        note = self._sealed.note if same else self._signer.note(size=to.size, root=root)
        return Sealed(extent=to, root=root, note=note, open=self._open.all(), full=tuple(self._growth.full))
