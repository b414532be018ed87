"""Build the exact bytes that a cosigner signs (C2SP tlog-cosignature).

An Ed25519 cosigner signs the whole text of a checkpoint; an ML-DSA-44 cosigner signs its own name, the origin, size and
root. Its signature does not cover extension lines: only the text under an Ed25519 signature authenticates those.
"""

from __future__ import annotations

from typing import Final

from answerable.core.tlog.merkle import HASH_BYTES, SIZE_MAX
from answerable.core.tlog.text import base64_decoded, decimal, require_text
from answerable.errors import shown
from answerable.errors.codes.tlog import (
    CHECKPOINT_LINE,
    CHECKPOINT_ROOT,
    COSIGNATURE_NAME_LENGTH,
    COSIGNATURE_SUBTREE,
    COSIGNATURE_TIMESTAMP,
)

TIMESTAMP_MAX: Final = 2**63 - 1
TIMESTAMP_BYTES: Final = 8
NAME_BYTES_MAX: Final = 255

_SUBTREE_LABEL: Final = b"subtree/v1\n\x00"


def ed25519_cosigned_text(timestamp: int, checkpoint_text: bytes) -> bytes:
    """Return the bytes under a cosignature of type 0x04, made at `timestamp` in Unix seconds. Raises Malformed."""
    _require_timestamp(timestamp)
    return b"cosignature/v1\ntime %d\n" % timestamp + checkpoint_text


def ml_dsa_44_signed_text(
    *, cosigner: str, timestamp: int, origin: str, start: int, end: int, root: bytes
) -> bytes:
    """Return the bytes under a signature of type 0x06 by the key named `cosigner`, over leaves `start` to `end` of a
    log.

    timestamp: Unix seconds; 0 for no time, which a start other than 0 requires. Raises Malformed.
    """
    _require_timestamp(timestamp)
    if len(root) != HASH_BYTES:
        raise CHECKPOINT_ROOT(f"root of {len(root)} bytes, expected {HASH_BYTES}")
    # A subtree, complete or at the right edge, starts at a multiple of the next power of two at or above its length.
    aligned = 1 << (end - start - 1).bit_length() if start < end else 1
    if not 0 <= start <= end <= SIZE_MAX or start % aligned or (start and (timestamp or start == end)):
        raise COSIGNATURE_SUBTREE(f"no subtree of leaves {start} to {end} to sign at time {timestamp}")
    return (
        _SUBTREE_LABEL
        + _short(cosigner)
        + timestamp.to_bytes(8, "big")
        + _short(origin)
        + start.to_bytes(8, "big")
        + end.to_bytes(8, "big")
        + root
    )


def tree_head_of(text: bytes) -> tuple[str, int, bytes]:
    """Return origin, size and root from the first three lines of a checkpoint's text. Only their spelling is checked.

    Raises Malformed.
    """
    lines = require_text(text)[:-1].split("\n", 3)
    if len(lines) < 3:
        raise CHECKPOINT_LINE(f"checkpoint of {len(lines)} lines, expected at least 3")
    return lines[0], decimal(lines[1], what="tree size"), base64_decoded(lines[2], what="root hash")


def _short(text: str) -> bytes:
    encoded = text.encode()
    if not 1 <= len(encoded) <= NAME_BYTES_MAX:
        raise COSIGNATURE_NAME_LENGTH(
            f"name of {len(encoded)} bytes, expected 1 to {NAME_BYTES_MAX}: {shown(text)}"
        )
    return len(encoded).to_bytes(1, "big") + encoded


def _require_timestamp(timestamp: int) -> None:
    if not 0 <= timestamp <= TIMESTAMP_MAX:
        raise COSIGNATURE_TIMESTAMP(f"cosignature time {timestamp} out of range")
