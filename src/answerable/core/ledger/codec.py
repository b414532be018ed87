"""Encode and decode the ledger's files. The format stays readable for ever: a change is a new version or flag.

A log is a directory: `wal/<index of the first entry, 16 hex digits>.wal` are its segments; `tile/` the tree as C2SP
tools read it; `checkpoint` is the newest signed checkpoint and `checkpoints.log` all of them, a blank line after each,
`cosigned` and `cosigned.log` the same with cosignatures of witnesses; `log.pub` are the verifier keys, one a line;
`head` caches the writer's position and proves nothing.

A segment is a file preallocated with zeros. All integers are big-endian.

    header, 128 bytes                              frame, 64 bytes and the entry
      0  8  magic 89 "ANSWAL" 0a                     0  4  mark f5 "ENT"; four zero bytes end the segment
      8  2  version, 1                               4  4  CRC-32 of the next 56 bytes
     10  2  flags, 0                                 8  4  leaf bytes, 1 to 65535 (C2SP tlog-tiles)
     12  4  header bytes, 128                       12  4  attachment bytes
     16  8  index of the first entry                16  4  flags, 0 (room for: attachment removed)
     24 32  SHA-256 of the origin                   20  4  CRC-32 of leaf and attachment
     56 32  chain value before the first entry      24  8  index of the first entry written in the same sync
     88 36  reserved, 0                             32 32  chain value after this entry
    124  4  CRC-32 of the first 124 bytes           64     leaf, then attachment

The chain value after an entry is SHA-256(chain value before || leaf hash); before entry 0 it is
SHA-256("answerable ledger chain v1" 0a || origin). The leaf hash is that of RFC 6962. The checksum is CRC-32 as in
zlib, not CRC-32C, because an offline verifier may have only the standard library. Neither detects a forger: the
tree and its signed checkpoints do.

Laws:
- decoding an encoded entry returns it, and any changed byte of a frame is detected;
- of two frames, a later `batch` proves that all entries before the later one were durable when it was written;
- `tail_after` classifies a tail as torn only if bytes are missing as a disk loses them, never if bytes are changed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal, NamedTuple, TypeAlias
from zlib import crc32

from answerable.errors import Malformed, Unverified
from answerable.errors.codes.ledger import (
    LEDGER_CHAIN,
    LEDGER_FRAME_CRC,
    LEDGER_FRAME_CUT,
    LEDGER_FRAME_MARK,
    LEDGER_FRAME_UNKNOWN,
    LEDGER_HEADER_CRC,
    LEDGER_HEADER_CUT,
    LEDGER_HEADER_MAGIC,
    LEDGER_HEADER_VERSION,
)

SEGMENT_VERSION: Final = 1
SEGMENT_HEADER_BYTES: Final = 128
SEGMENT_BYTES_MAX: Final = 2**31
FRAME_HEADER_BYTES: Final = 64
STORED_LEAF_BYTES_MAX: Final = 65_535
"""The limit of the format (C2SP tlog-tiles); writers keep to `entry.LEAF_BYTES_MAX`."""
SECTOR_BYTES: Final = 512
"""The unit that a disk writes completely or not at all."""

_MAGIC: Final = b"\x89ANSWAL\n"
# The first byte never occurs in UTF-8, so no leaf can contain the mark, and the next frame is found again after damage.
_MARK: Final = b"\xf5ENT"
_END: Final = b"\x00\x00\x00\x00"
_HEADER: Final = struct.Struct(">8sHHIQ32s32s36s")
_FRAME_REST: Final = struct.Struct(">IIIIQ32s")
_FRAME: Final = struct.Struct(">4sI56s")
_CRC: Final = struct.Struct(">I")
_ZEROS: Final = bytes(65_536)
_CHAIN_LABEL: Final = b"answerable ledger chain v1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """Header of a segment. first_index: of the segment's first entry. origin_hash: SHA-256. chain: value before the
    first entry."""

    first_index: int
    origin_hash: bytes
    chain: bytes

    def encoded(self) -> bytes:
        """Return the bytes that `parse` reads."""
        body = _HEADER.pack(
            _MAGIC,
            SEGMENT_VERSION,
            0,
            SEGMENT_HEADER_BYTES,
            self.first_index,
            self.origin_hash,
            self.chain,
            bytes(36),
        )
        return body + _CRC.pack(crc32(body))

    @classmethod
    def parse(cls, segment: bytes) -> SegmentHeader:
        """Read the header of a segment. Raises Malformed, or Unverified `ledger.header_crc`."""
        if len(segment) < SEGMENT_HEADER_BYTES:
            raise LEDGER_HEADER_CUT(f"segment of {len(segment)} bytes has no header")
        magic, version, flags, length, first_index, origin_hash, chain, rest = _HEADER.unpack_from(segment)
        if magic != _MAGIC:
            raise LEDGER_HEADER_MAGIC()
        (stated,) = _CRC.unpack_from(segment, SEGMENT_HEADER_BYTES - _CRC.size)
        if crc32(segment[: SEGMENT_HEADER_BYTES - _CRC.size]) != stated:
            raise LEDGER_HEADER_CRC()
        if (version, flags, length) != (SEGMENT_VERSION, 0, SEGMENT_HEADER_BYTES) or rest.strip(b"\x00"):
            raise LEDGER_HEADER_VERSION(f"segment of version {version} cannot be read")
        return cls(first_index=first_index, origin_hash=origin_hash, chain=chain)


TailState: TypeAlias = Literal["clean", "torn", "corrupt"]


class Frame(NamedTuple):
    """One entry as stored. batch: index of the first entry of its sync. end: offset after it in the segment."""

    leaf: bytes
    attachment: bytes
    chain: bytes
    batch: int
    end: int


class Passed(NamedTuple):
    """The header of a frame. end: offset after the frame in the segment."""

    chain: bytes
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What follows the last valid frame. fault: one line, empty when clean. state: `clean`, `torn` or `corrupt`.

    end: offset after the last non-zero byte, at least the offset where the tail starts.
    """

    state: TailState
    fault: str
    end: int


def origin_hash(origin: str) -> bytes:
    """Return the hash of the log's name in a segment header."""
    return sha256(origin.encode()).digest()


def chain_start(origin: str) -> bytes:
    """Return the chain value before entry 0."""
    return sha256(_CHAIN_LABEL + origin.encode()).digest()


def chained(chain: bytes, leaf_hash: bytes) -> bytes:
    """Return the chain value after one more entry."""
    return sha256(chain + leaf_hash).digest()


def frame_header(leaf: bytes, attachment: bytes, *, chain: bytes, batch: int) -> bytes:
    """Build the 64 bytes before `leaf` and `attachment`. chain: value after this entry. The caller
    checks the lengths."""
    body_crc = crc32(attachment, crc32(leaf))
    rest = _FRAME_REST.pack(len(leaf), len(attachment), 0, body_crc, batch, chain)
    return _MARK + _CRC.pack(crc32(rest)) + rest


def linked_frame(leaf: bytes, attachment: bytes, *, chain: bytes, batch: int) -> tuple[bytes, bytes, bytes]:
    """Return the leaf hash of an entry, the chain value after it, and its frame header, in one call, since each action
    writes two. chain: value before the entry. Equals `leaf_hash`, `chained` and `frame_header`."""
    leaf_hash = sha256(b"\x00" + leaf).digest()
    chain = sha256(chain + leaf_hash).digest()
    rest = _FRAME_REST.pack(len(leaf), len(attachment), 0, crc32(attachment, crc32(leaf)), batch, chain)
    return leaf_hash, chain, _MARK + crc32(rest).to_bytes(4) + rest


def decode_frame(segment: bytes, offset: int) -> Frame | None:
    """Decode the frame at `offset`, or return None at the end: zeros, or nothing.

    Does not check the chain. Raises Malformed (`ledger.frame_*`) or Unverified (`ledger.frame_crc`).
    """
    if len(segment) - offset < FRAME_HEADER_BYTES:
        if any(segment[offset:]):
            raise LEDGER_FRAME_CUT("entry is cut off in its header")
        return None
    mark, crc, rest = _FRAME.unpack_from(segment, offset)
    if mark != _MARK:
        if mark == _END:
            return None
        raise LEDGER_FRAME_MARK()
    if crc32(rest) != crc:
        raise LEDGER_FRAME_CRC("entry header fails its checksum")
    leaf_bytes, attachment_bytes, flags, body_crc, batch, chain = _FRAME_REST.unpack(rest)
    if flags or not 0 < leaf_bytes <= STORED_LEAF_BYTES_MAX:
        raise LEDGER_FRAME_UNKNOWN(
            f"entry with flags {flags:#x} and a leaf of {leaf_bytes} bytes cannot be read"
        )
    middle = offset + FRAME_HEADER_BYTES + leaf_bytes
    end = middle + attachment_bytes
    if end > len(segment):
        raise LEDGER_FRAME_CUT(f"entry of {end - offset} bytes, the segment has {len(segment) - offset}")
    leaf, attachment = segment[offset + FRAME_HEADER_BYTES : middle], segment[middle:end]
    if crc32(attachment, crc32(leaf)) != body_crc:
        raise LEDGER_FRAME_CRC("entry fails its checksum", step="frame.body")
    return Frame(leaf, attachment, chain, batch, end)


def frame_passed(segment: bytes, offset: int) -> Passed | None:
    """Decode only the header of the frame at `offset`; None unless it is valid and the frame ends within `segment`.

    For seeking: a caller that uses the entry reads it with `decode_frame`.
    """
    if len(segment) - offset < FRAME_HEADER_BYTES:
        return None
    mark, crc, rest = _FRAME.unpack_from(segment, offset)
    if mark != _MARK or crc32(rest) != crc:
        return None
    leaf_bytes, attachment_bytes, _, _, _, chain = _FRAME_REST.unpack(rest)
    end = offset + FRAME_HEADER_BYTES + leaf_bytes + attachment_bytes
    return Passed(chain, end) if end <= len(segment) else None


def damaged_frame(segment: bytes, offset: int) -> Frame | None:
    """Decode the frame at `offset` when its header is valid but its body fails the checksum, so that a reader that only
    reports can continue after it; otherwise return None."""
    if len(segment) - offset < FRAME_HEADER_BYTES:
        return None
    mark, crc, rest = _FRAME.unpack_from(segment, offset)
    if mark != _MARK or crc32(rest) != crc:
        return None
    leaf_bytes, attachment_bytes, _, _, batch, chain = _FRAME_REST.unpack(rest)
    middle = offset + FRAME_HEADER_BYTES + leaf_bytes
    end = middle + attachment_bytes
    if not leaf_bytes or end > len(segment):
        return None
    return Frame(segment[offset + FRAME_HEADER_BYTES : middle], segment[middle:end], chain, batch, end)


def checked_link(frame: Frame, *, chain: bytes, leaf_hash: bytes) -> bytes:
    """Return the chain value after the frame. Raises Unverified (`ledger.chain`) if the frame states another."""
    if chained(chain, leaf_hash) != frame.chain:
        raise LEDGER_CHAIN()
    return frame.chain


def tail_after(segment: bytes, offset: int, *, next_index: int) -> Tail:
    """Classify a segment from `offset`, where the last valid frame ended and entry `next_index` would be.

    Torn: the bytes were being written when the power failed, so no promise was made about them. Corrupt: they were
    altered in another way, or a later sync wrote entries after them, so their durability had been promised.
    """
    end = _end_of_content(segment, offset)
    if end == offset:
        return Tail(state="clean", fault="", end=end)
    try:
        decode_frame(segment, offset)
        fault = "the start of the entry is missing"
    except (Malformed, Unverified) as error:
        fault = error.message
    later = _later_frame(segment, offset, next_index)
    if later is not None:
        return Tail(state="corrupt", fault=f"{fault}: and a later entry stands at byte {later}", end=end)
    if not _lacks_bytes(segment, offset, end):
        return Tail(state="corrupt", fault=f"{fault}: and none of its bytes are missing", end=end)
    return Tail(state="torn", fault=fault, end=end)


def notes_in(history: bytes) -> tuple[list[bytes], int]:
    """Return the signed notes of `checkpoints.log`, or of a part of it that starts at a note, and how many bytes they
    take.

    Stops at a note with a zero byte: no valid note has one, a note torn by a power failure may.
    """
    notes: list[bytes] = []
    start = 0
    while True:
        text_end = history.find(b"\n\n", start)
        end = history.find(b"\n\n", text_end + 2) if text_end >= 0 else -1
        if end < 0 or b"\x00" in history[start:end]:
            return notes, start
        notes.append(history[start : end + 1])
        start = end + 2


def _end_of_content(segment: bytes, offset: int) -> int:
    """Return the offset after the last non-zero byte, at least `offset`. Scans backwards, block by block."""
    end = len(segment)
    while end > offset:
        start = max(offset, end - len(_ZEROS))
        block = segment[start:end]
        if block != _ZEROS[: end - start]:
            return start + len(block.rstrip(b"\x00"))
        end = start
    return offset


def _later_frame(segment: bytes, offset: int, next_index: int) -> int | None:
    """Return the offset of a valid frame after `offset` that a later sync than that of entry `next_index` wrote."""
    at = segment.find(_MARK, offset + 1)
    while at >= 0:
        try:
            frame = decode_frame(segment, at)
        except (Malformed, Unverified):
            frame = None
        if frame is not None and frame.batch > next_index:
            return at
        at = segment.find(_MARK, at + 1 if frame is None else frame.end)
    return None


def _lacks_bytes(segment: bytes, offset: int, end: int) -> bool:
    """Whether the frame at `offset` has a hole: zeros up to the end of the segment, or over a whole sector.

    end: after the last non-zero byte. A valid frame has no such hole: its leaf is JSON text, its attachment salt and
    JSON text. Lengths count only under a valid header checksum, so a changed length is no hole.
    """
    extent = offset + FRAME_HEADER_BYTES
    if len(segment) >= extent:
        mark, crc, rest = _FRAME.unpack_from(segment, offset)
        if mark == _MARK and crc32(rest) == crc:
            leaf_bytes, attachment_bytes, *_ = _FRAME_REST.unpack(rest)
            extent += leaf_bytes + attachment_bytes
    begun = segment[offset : min(end, offset + len(_MARK))]
    if end < extent and _MARK.startswith(begun):
        return True
    start = offset
    while start < extent:
        stop = (start // SECTOR_BYTES + 1) * SECTOR_BYTES
        if not any(segment[start:stop]):
            return True
        start = stop
    return False
