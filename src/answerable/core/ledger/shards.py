"""Shards: the logs of a deployment, one for each process, and the log of logs that covers all of them.

A leaf of the log of logs that covers a shard is of Tag.SHARD_HEAD. It holds a checkpoint of the shard, by parts:

| member      | meaning                                                                        |
|-------------|--------------------------------------------------------------------------------|
| `key`       | the shard's verifier key (C2SP signed-note, Ed25519)                           |
| `origin`    | name of the shard, as in its checkpoints                                       |
| `root`      | root of its tree, hex                                                          |
| `signature` | key id and signature of the checkpoint, base64, as in its signature line       |
| `size`      | entries of the shard that it covers                                            |

A leaf of Tag.GAP says that a shard is not covered from here on: `origin`, `covered` (size of its last head, 0 without),
`size` (its published size, 0 without a checkpoint) and `why`, one of `GAP_REASONS`.

Laws:
- a head states only what its shard signed: the checkpoint can be rebuilt from it byte for byte;
- heads of one shard have one key and never shrink, each a prefix of the next; a checkpoint that does not
  fit is a gap, not a head.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.canonical import parse
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.checkpoint import Checkpoint, checkpoint_in
from answerable.core.tlog.merkle import verify_consistency
from answerable.core.tlog.note import ED25519, KEY_ID_BYTES, Note, NoteSignature, VerifierKey
from answerable.core.tlog.text import base64_decoded
from answerable.errors import Malformed, Unverified, shown
from answerable.errors.codes.ledger import LEDGER_LEAF_MALFORMED_MALFORMED, SHARD_HEAD, SHARD_NAME
from answerable.errors.codes.tlog import NOTE_KEY_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.entry import Entry

HEADS: Final = "heads"
"""Name of the log of logs, beside the names of its shards."""
SHARDS_MAX: Final = 256
SHARD_NAME_CHARS_MAX: Final = 32
GAP_REASONS: Final = ("rolled_back", "forked", "other_key", "unsigned", "missing")

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_RESERVED: Final = frozenset({HEADS, "batch-head"})
"""Names under which something other than a shard signs."""
_ROOT: Final = re.compile(r"[0-9a-f]{64}")


def checked_shard_name(text: str) -> str:
    """Return `text` if it is a valid shard name: a-z, 0-9 and inner hyphens. Raises Malformed (`shard.name`)."""
    if not _NAME.fullmatch(text) or len(text) > SHARD_NAME_CHARS_MAX or text in _RESERVED:
        raise SHARD_NAME(
            f"{shown(text)} is not the name of a shard: 1 to {SHARD_NAME_CHARS_MAX} of a-z, 0-9 and inner hyphens, and "
            f"neither of {', '.join(sorted(_RESERVED))}"
        )
    return text


def shard_origin(base: str, name: str) -> str:
    """Return the origin of a shard's log, or of the log of logs. base: their common prefix."""
    return f"{base}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardHead:
    """A checkpoint of a shard, as stored in the log of logs; its signature was verified under `key` on construction."""

    key: VerifierKey
    checkpoint: Checkpoint
    signature: bytes

    @property
    def origin(self) -> str:
        """The shard's name."""
        return self.key.name

    @property
    def size(self) -> int:
        """Number of entries that the head covers."""
        return self.checkpoint.size

    @classmethod
    def of_note(cls, encoded: bytes, *, key: VerifierKey) -> ShardHead:
        """Build the head from a signed checkpoint. key: the shard's Ed25519 key; other signatures are dropped.

        Raises Malformed, or Unverified with the steps of `verified_checkpoint`.
        """
        if key.kind != ED25519:
            raise NOTE_KEY_TYPE(f"key of {shown(key.name)} is not an ed25519 key")
        note = Note.parse(encoded)
        checkpoint = checkpoint_in(note, origin=key.name, log_keys=(key,))
        if checkpoint.extensions:
            raise SHARD_HEAD("a checkpoint with extension lines makes no head")
        [(line, _), *_] = note.signatures_by((key,), kinds=(ED25519,))
        return cls(key=key, checkpoint=checkpoint, signature=line.signature)

    @classmethod
    def of_leaf(cls, leaf: Mapping[str, JSONValue]) -> ShardHead:
        """Read and verify a leaf that `entry` wrote. The key is only the leaf's own claim: check elsewhere whose it is.

        Raises Malformed (`shard.head`, among others), or Unverified as `of_note`.
        """
        size, root = leaf.get("size"), _text(leaf, "root")
        if type(size) is not int or not _ROOT.fullmatch(root):
            raise SHARD_HEAD("a shard head without size and root")
        key = VerifierKey.parse(_text(leaf, "key"))
        checkpoint = Checkpoint(origin=_text(leaf, "origin"), size=size, root=bytes.fromhex(root))
        material = base64_decoded(_text(leaf, "signature"), what="signature")
        line = NoteSignature(name=key.name, key_id=material[:KEY_ID_BYTES], signature=material[KEY_ID_BYTES:])
        return cls.of_note(Note(text=checkpoint.text(), signatures=(line,)).encoded(), key=key)

    def note(self) -> bytes:
        """Return the shard's signed checkpoint."""
        line = NoteSignature(name=self.key.name, key_id=self.key.key_id, signature=self.signature)
        return Note(text=self.checkpoint.text(), signatures=(line,)).encoded()

    def entry(self, *, at: UnixMillis) -> Entry:
        """Build the entry for the log of logs. Raises Broken (`ledger.leaf_too_large`)."""
        members: dict[str, JSONValue] = {
            "key": self.key.formatted(),
            "origin": self.origin,
            "root": self.checkpoint.root.hex(),
            "signature": b64encode(self.key.key_id + self.signature).decode(),
            "size": self.size,
        }
        return sealed_entry(Tag.SHARD_HEAD, at=at, members=members)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardGap:
    """A shard that is no longer covered, and why: one of `GAP_REASONS`. Sizes as in the leaf."""

    origin: str
    why: str
    covered: int
    size: int

    @classmethod
    def of_leaf(cls, leaf: Mapping[str, JSONValue]) -> ShardGap | None:
        """Read what `entry` wrote; None for a gap of another kind. Raises Malformed (`shard.head`)."""
        if "why" not in leaf or "covered" not in leaf:
            return None
        covered, size = leaf["covered"], leaf.get("size")
        if type(covered) is not int or type(size) is not int:
            raise SHARD_HEAD("a gap in the heads of a shard without its sizes")
        return cls(origin=_text(leaf, "origin"), why=_text(leaf, "why"), covered=covered, size=size)

    def entry(self, *, at: UnixMillis) -> Entry:
        """Build the entry for the log of logs."""
        members: dict[str, JSONValue] = {
            "covered": self.covered,
            "origin": self.origin,
            "size": self.size,
            "why": self.why,
        }
        return sealed_entry(Tag.GAP, at=at, members=members)


class _Peek(msgspec.Struct, gc=False):
    """The members read of a leaf. origin, covered: of heads and gaps of shards."""

    tag: int
    origin: str = ""
    covered: int | None = None


_PEEK: Final = msgspec.json.Decoder(_Peek)


def members_of(leaf: bytes) -> dict[str, JSONValue]:
    """Parse the members of a leaf. Raises Malformed (`json.*`, `ledger.leaf_malformed`)."""
    members = parse(leaf)
    if not isinstance(members, dict):
        raise LEDGER_LEAF_MALFORMED_MALFORMED("not a leaf")
    return members


def covered_shard(leaf: bytes) -> str | None:
    """Return the shard that a head leaf of the log of logs claims to cover; None for other leaves. Verifies nothing."""
    try:
        peek = _PEEK.decode(leaf)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return peek.origin if peek.tag == Tag.SHARD_HEAD else None


class Coverage:
    """The state of each shard in the log of logs, by origin.

    heads: the newest of each. gaps: of those that are not covered now.
    """

    def __init__(self) -> None:
        self.heads: dict[str, ShardHead] = {}
        self.gaps: dict[str, ShardGap] = {}
        # The newest leaves of each shard, not yet verified: a reader of a long log verifies only these.
        self._new: dict[tuple[str, int], bytes] = {}

    def saw(self, encoded: bytes) -> None:
        """Take the next leaf of the log of logs; it counts after `take_in`. Raises Malformed for bytes that are no
        leaf."""
        try:
            peek = _PEEK.decode(encoded)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise LEDGER_LEAF_MALFORMED_MALFORMED("not a leaf") from None
        if peek.tag == Tag.SHARD_HEAD:
            self._new.pop((peek.origin, Tag.GAP), None)
            self._new[peek.origin, Tag.SHARD_HEAD] = encoded
        elif peek.tag == Tag.GAP and peek.covered is not None:
            self._new[peek.origin, Tag.GAP] = encoded

    def take_in(self) -> None:
        """Read and verify the leaves taken. Raises Malformed or Unverified for an invalid head."""
        while self._new:
            place = next(iter(self._new))
            leaf = members_of(self._new[place])
            if place[1] == Tag.SHARD_HEAD:
                self.covered(ShardHead.of_leaf(leaf))
            elif (gap := ShardGap.of_leaf(leaf)) is not None:
                self.gaps[gap.origin] = gap
            del self._new[place]

    def covered(self, head: ShardHead) -> None:
        """Note that a head was written."""
        self.heads[head.origin] = head
        self.gaps.pop(head.origin, None)


def looked_at(
    origin: str,
    *,
    before: ShardHead | None,
    key: VerifierKey,
    note: bytes,
    proof: Callable[[int, Checkpoint], Sequence[bytes]],
) -> ShardHead | ShardGap:
    """Check a shard's current checkpoint and return its head, or the reason why it is not covered.

    before: its last head. note: its newest checkpoint. proof: returns the proof that its tree of a size, not 0, is a
    prefix of that of a checkpoint. Raises what `proof` raises.
    """
    covered = before.size if before is not None else 0
    gap = partial(ShardGap, origin=origin, covered=covered)
    try:
        head = ShardHead.of_note(note, key=key)
    except (Malformed, Unverified):
        return gap(why="unsigned", size=0)
    if head.origin != origin or (before is not None and before.key != key):
        return gap(why="other_key", size=head.size)
    if before is None or before.size == 0:
        return head
    if head.size < covered:
        return gap(why="rolled_back", size=head.size)
    try:
        verify_consistency(
            old_size=covered,
            new_size=head.size,
            old_root=before.checkpoint.root,
            new_root=head.checkpoint.root,
            proof=proof(covered, head.checkpoint) if head.size > covered else (),
        )
    except Unverified:
        return gap(why="forked", size=head.size)
    return head


def _text(leaf: Mapping[str, JSONValue], name: str) -> str:
    value = leaf.get(name)
    if not isinstance(value, str):
        raise SHARD_HEAD(f"a shard head without text `{name}`")
    return value
