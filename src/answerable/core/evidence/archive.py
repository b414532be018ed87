"""Canonical zip archives: any zip tool opens them, and a set of members has exactly one encoding.

Members are stored, not compressed, sorted by name, with the earliest possible date and nothing optional: no comments,
no extra fields, no descriptors, no zip64. Laws:
- `parse_archive` accepts only what `encode_archive` writes, byte for byte, so that no byte can be changed, nothing can
  be hidden between members, and two tools cannot read different contents;
- the parsed content is no larger than the archive: nothing expands;
- names are short, relative, and of letters, digits, `.`, `-` and single slashes.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final
from zlib import crc32

from answerable.errors import Malformed, shown
from answerable.errors.codes.ledger import EVIDENCE_ARCHIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

ARCHIVE_BYTES_MAX: Final = 128 * 1_048_576
MEMBER_BYTES_MAX: Final = 16 * 1_048_576
MEMBERS_MAX: Final = 40_000
NAME_CHARS_MAX: Final = 100

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*(?:[./][a-z0-9][a-z0-9-]*)*")
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_VERSION: Final = 20
_EARLIEST_DAY: Final = (1 << 5) | 1
"""1 January 1980."""


def encode_archive(members: Mapping[str, bytes]) -> bytes:
    """Encode an archive. Raises Malformed for names and sizes that `parse_archive` would not accept."""
    _require_count(len(members))
    pieces: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for name in sorted(members):
        content, encoded = members[name], _encoded_name(name)
        if len(content) > MEMBER_BYTES_MAX:
            raise _refused(
                f"member {shown(name)} of {len(content)} bytes, expected at most {MEMBER_BYTES_MAX}"
            )
        shared = (
            _VERSION,
            0,
            0,
            0,
            _EARLIEST_DAY,
            crc32(content),
            len(content),
            len(content),
            len(encoded),
            0,
        )
        pieces += [_LOCAL.pack(b"PK\x03\x04", *shared), encoded, content]
        central += [_CENTRAL.pack(b"PK\x01\x02", _VERSION, *shared, 0, 0, 0, 0, offset), encoded]
        offset += _LOCAL.size + len(encoded) + len(content)
    directory = b"".join(central)
    count = len(members)
    pieces += [directory, _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), offset, 0)]
    encoded = b"".join(pieces)
    _require_size(len(encoded))
    return encoded


def parse_archive(content: bytes) -> dict[str, bytes]:
    """Return the members by name. Raises Malformed (`evidence.archive`) for anything that `encode_archive` does not
    write."""
    _require_size(len(content))
    try:
        members = _members(content)
    except (struct.error, UnicodeDecodeError):
        raise _refused("it ends too early, or is no zip archive") from None
    if encode_archive(members) != content:
        raise _refused("it is a zip archive of another form, or was changed")
    return members


def _members(content: bytes) -> dict[str, bytes]:
    """Return the members in the central directory. The caller encodes them again to check everything else."""
    at = len(content) - _END.size
    if at < 0:
        raise _refused("it is too short")
    mark, _, _, count, _, _, directory, _ = _END.unpack_from(content, at)
    if mark != b"PK\x05\x06":
        raise _refused("it is no zip archive, or something follows it")
    _require_count(count)
    members: dict[str, bytes] = {}
    at = directory
    for _ in range(count):
        fields = _CENTRAL.unpack_from(content, at)
        size, name_bytes, offset = fields[9], fields[10], fields[16]
        name = content[at + _CENTRAL.size : at + _CENTRAL.size + name_bytes].decode("ascii")
        start = offset + _LOCAL.size + name_bytes
        if size > MEMBER_BYTES_MAX or start + size > len(content):
            raise _refused(f"member {shown(name)} of {size} bytes is too large, or not all there")
        members[name] = content[start : start + size]
        at += _CENTRAL.size + name_bytes
    return members


def _encoded_name(name: str) -> bytes:
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name):
        raise _refused(f"{shown(name)} is no name of a member")
    return name.encode("ascii")


def _require_count(count: int) -> None:
    if not 1 <= count <= MEMBERS_MAX:
        raise _refused(f"it has {count} members, expected 1 to {MEMBERS_MAX}")


def _require_size(size: int) -> None:
    if size > ARCHIVE_BYTES_MAX:
        raise _refused(f"it has {size} bytes, expected at most {ARCHIVE_BYTES_MAX}")


def _refused(why: str) -> Malformed:
    return EVIDENCE_ARCHIVE(f"the archive cannot be taken: {why}")
