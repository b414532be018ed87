"""Check one leaf by itself: canonical form, known version, the members of its tag, and its attachment.

msgspec, which `core.canonical` needs anyway, checks members and types. A leaf that msgspec encodes back to the same
bytes is canonical: members are sorted, numbers are bounded integers and nothing was dropped. Any other leaf takes a
slower path.
"""

from __future__ import annotations

from hashlib import sha256
from operator import lt
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from answerable.core.canonical import encode_ledger, parse
from answerable.core.ledger.entry import FIRST_LEAF_VERSION, LEAF_BYTES_MAX, LEAF_VERSION, SALT_BYTES
from answerable.core.ledger.subject_key import sections_of
from answerable.errors import Malformed
from answerable.verify.leaf_shapes import SHAPES, IntentLeaf
from answerable.verify.leaf_types import Leaf


class Fault(NamedTuple):
    """A violation. rule: stable code."""

    rule: str
    message: str


class _Peek(Struct):
    v: int
    tag: int


_PEEK: Final = msgspec.json.Decoder(_Peek)
_DECODERS: Final = {int(tag): msgspec.json.Decoder(shape) for tag, shape in SHAPES.items()}
_TAG: Final = b'"tag":'
_GUESSES: Final = {b"%d" % tag: (tag, decoder) for tag, decoder in _DECODERS.items()}
_VERSIONS: Final = (LEAF_VERSION, FIRST_LEAF_VERSION)
_ANY_LEAF: Final = msgspec.json.Decoder(Leaf)
_ENCODE: Final = msgspec.json.Encoder(order="sorted").encode


def read_leaf(encoded: bytes) -> Leaf | Fault:
    """Return the leaf, if it is canonical and has the members of its tag; otherwise the first fault in the leaf
    alone."""
    if len(encoded) > LEAF_BYTES_MAX:
        return Fault("leaf.size", f"the leaf has {len(encoded)} bytes, expected at most {LEAF_BYTES_MAX}")
    leaf = _guessed(encoded)
    if leaf is None:
        try:
            peek = _PEEK.decode(encoded)
            if peek.v not in _VERSIONS:
                return Fault(
                    "leaf.version",
                    f"the leaf has version {peek.v}, this program reads {FIRST_LEAF_VERSION} to {LEAF_VERSION}",
                )
            leaf = _DECODERS.get(peek.tag, _ANY_LEAF).decode(encoded)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _canonical_fault(encoded) or Fault("leaf.member", _lowered(str(error)))
    if not (encoded.isascii() and _ENCODE(leaf) == encoded):
        fault = _canonical_fault(encoded)
        if fault is not None:
            return fault
    return leaf if leaf.v == FIRST_LEAF_VERSION else _second_version_fault(leaf) or leaf


def payload_fault(leaf: Leaf, attachment: bytes) -> Fault | None:
    """Check that the attachment stored with a leaf is the one that the leaf commits to."""
    if leaf.payload is UNSET:
        return (
            Fault("payload.uncommitted", "a payload that the leaf does not commit to") if attachment else None
        )
    if not attachment:
        return Fault("payload.missing", "the payload that the leaf commits to is missing")
    if sha256(attachment).hexdigest() != leaf.payload:
        return Fault("payload.mismatch", "the payload is not the one that the leaf commits to")
    sound = len(attachment) > SALT_BYTES if leaf.v == FIRST_LEAF_VERSION else _is_envelope(attachment)
    return None if sound else Fault("payload.form", ("the payload does not have the format of its version"))


def _is_envelope(attachment: bytes) -> bool:
    try:
        return bool(sections_of(attachment))
    except Malformed:
        return False


def _guessed(encoded: bytes) -> Leaf | None:
    """Decode a sound leaf in one pass, by the tag at its place in canonical order; None if that fails.

    If another member's content stands there, the types or the tag itself do not match, and the result is None.
    """
    at = encoded.rfind(_TAG) + len(_TAG)
    guess = _GUESSES.get(encoded[at : encoded.find(b",", at)])
    if guess is None:
        return None
    tag, decoder = guess
    try:
        leaf = decoder.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return leaf if leaf.tag == tag and leaf.v in _VERSIONS else None


def _second_version_fault(leaf: Leaf) -> Fault | None:
    """Check version 2: each field is committed to separately, in digest order, and the attachment holds all fields."""
    digests = leaf.sd
    if digests is not UNSET:
        if not digests or not all(map(lt, digests, digests[1:])):
            return Fault(
                "leaf.disclosures", "the field digests are not in ascending order without repetition"
            )
        if leaf.payload is UNSET:
            return Fault("leaf.disclosures", "the leaf has disclosable fields but no payload")
    elif leaf.payload is not UNSET:
        return Fault("leaf.disclosures", "the leaf has a payload but commits to no field of it")
    if isinstance(leaf, IntentLeaf) and (
        leaf.run is UNSET or leaf.mandate_ref is UNSET or leaf.policy_ref is UNSET or leaf.tool_ref is UNSET
    ):
        return Fault("leaf.member", "an intent of this version lacks its run or one of its references")
    return None


def _canonical_fault(encoded: bytes) -> Fault | None:
    try:
        leaf = parse(encoded)
        if isinstance(leaf, dict) and encode_ledger(leaf) == encoded:
            return None
    except Malformed as error:
        return Fault("leaf.canonical", f"the leaf is not canonical: {error.message}")
    return Fault("leaf.canonical", "the leaf is not an object in canonical form")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
