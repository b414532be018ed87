"""Evidence bundles: leaves with inclusion proofs, the checkpoint over them, and the disclosed fields.

Laws:
- encoding what was parsed gives the same bytes; the manifest states only what follows from the other members;
- a disclosed field matches a digest in the leaf of its own entry, so it cannot be moved to another or be made up;
- of an undisclosed field the bundle contains only the digest.

Nothing is proven here: `verify` checks that the checkpoint is signed and covers the leaves.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode, parse
from answerable.core.evidence.archive import encode_archive, parse_archive
from answerable.core.ledger.disclosure import DISCLOSURE_SALT_BYTES, FIELDS_MAX, Disclosure, parsed_disclosure
from answerable.core.ledger.entry import LEAF_BYTES_MAX
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.note import Note, VerifierKey
from answerable.core.tlog.policy import Policy, parse_policy
from answerable.core.tlog.proof import TlogProof
from answerable.errors import shown
from answerable.errors.codes.ledger import (
    EVIDENCE_DISCLOSURE,
    EVIDENCE_ENTRIES,
    EVIDENCE_KEYS,
    EVIDENCE_LEAF,
    EVIDENCE_MANIFEST,
    EVIDENCE_MEMBER,
)

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

BUNDLE_VERSION: Final = 1
KIND: Final = "answerable evidence bundle"
ENTRIES_MAX: Final = 10_000
KEYS_MAX: Final = 8

MANIFEST: Final = "manifest.json"
CHECKPOINT: Final = "checkpoint"
KEYS: Final = "log.pub"
POLICY: Final = "policy"
_SALTED: Final = re.compile(rb'\["[A-Za-z0-9_-]{%d}","' % -(-DISCLOSURE_SALT_BYTES * 4 // 3))
_LEAF_NAME: Final = re.compile(r"entries/(0|[1-9][0-9]{0,15})\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceEntry:
    """One entry: leaf as stored, inclusion proof, and the disclosed fields, sorted by digest.

    Raises Malformed (`evidence.disclosure`) for a field that the leaf does not commit to, and for a duplicate.
    """

    index: int
    leaf: bytes
    hashes: tuple[bytes, ...]
    disclosures: tuple[Disclosure, ...] = ()

    def __post_init__(self) -> None:
        if len(self.leaf) > LEAF_BYTES_MAX:
            raise EVIDENCE_LEAF(f"the leaf of entry {self.index} is too long")
        leaf = parse(self.leaf)
        committed = leaf.get("_sd") if isinstance(leaf, dict) else None
        digests = [one.digest for one in self.disclosures]
        if digests != sorted(set(digests)):
            raise EVIDENCE_DISCLOSURE(f"entry {self.index} discloses a field twice")
        for one in self.disclosures:
            if not isinstance(committed, list) or one.digest not in committed:
                raise EVIDENCE_DISCLOSURE(
                    f"entry {self.index} does not hold the field {shown(one.name)} as it is shown"
                )

    def members(self, checkpoint: bytes) -> dict[str, bytes]:
        """Return the entry's members of the archive."""
        proof = TlogProof(index=self.index, hashes=self.hashes, checkpoint=checkpoint)
        members = {
            f"entries/{self.index}.json": self.leaf,
            f"entries/{self.index}.tlog-proof": proof.encoded(),
        }
        if self.disclosures:
            lines = "".join(f"{one.encoded}\n" for one in self.disclosures)
            members[f"entries/{self.index}.disclosures"] = lines.encode()
        return members


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An evidence bundle. checkpoint: the signed note over all entries, with its cosignatures. keys: of the log, as
    published.

    policy: the cosignatures that the log's owner considers sufficient; a verifier uses its own policy. Raises
    Malformed.
    """

    checkpoint: bytes
    keys: tuple[VerifierKey, ...]
    policy: Policy | None
    entries: tuple[EvidenceEntry, ...]

    def __post_init__(self) -> None:
        indexes = [one.index for one in self.entries]
        if not 1 <= len(indexes) <= ENTRIES_MAX or indexes != sorted(set(indexes)):
            raise EVIDENCE_ENTRIES(f"a bundle has 1 to {ENTRIES_MAX} entries in order, got {len(indexes)}")
        if not 1 <= len(self.keys) <= KEYS_MAX:
            raise EVIDENCE_KEYS(f"a bundle has 1 to {KEYS_MAX} keys of its log")

    @property
    def claimed(self) -> Checkpoint:
        """The checkpoint's content, unverified. Raises Malformed."""
        return Checkpoint.parse(Note.parse(self.checkpoint).text)

    def encoded(self) -> bytes:
        """Return the bytes that `parse` reads; deterministic."""
        members = {
            CHECKPOINT: self.checkpoint,
            KEYS: "".join(f"{key.formatted()}\n" for key in self.keys).encode(),
        }
        if self.policy is not None:
            members[POLICY] = self.policy.text()
        for entry in self.entries:
            members.update(entry.members(self.checkpoint))
        return encode_archive({**members, MANIFEST: self._manifest(members)})

    @classmethod
    def parse(cls, content: bytes) -> Bundle:
        """Parse a bundle. Raises Malformed (`evidence.*`, and those of its parts)."""
        members = parse_archive(content)
        indexes = sorted(int(match[1]) for match in map(_LEAF_NAME.fullmatch, members) if match)
        if len(indexes) > ENTRIES_MAX:
            raise EVIDENCE_ENTRIES(f"a bundle has at most {ENTRIES_MAX} entries")
        bundle = cls(
            checkpoint=_member(members, CHECKPOINT),
            keys=_keys(_member(members, KEYS)),
            policy=parse_policy(members[POLICY]) if POLICY in members else None,
            entries=tuple(_entry(members, index) for index in indexes),
        )
        if bundle.encoded() != content:
            raise EVIDENCE_MANIFEST()
        return bundle

    def _manifest(self, members: dict[str, bytes]) -> bytes:
        checkpoint = self.claimed
        entries: list[JSONValue] = [
            {
                "index": one.index,
                "leaf": leaf_hash(one.leaf).hex(),
                "shows": [shown_field.name for shown_field in one.disclosures],
            }
            for one in self.entries
        ]
        return encode(
            {
                "entries": entries,
                "kind": KIND,
                "members": {name: sha256(content).hexdigest() for name, content in members.items()},
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "v": BUNDLE_VERSION,
            }
        )


def disclosure_of(text: str) -> Disclosure:
    """Parse a disclosure (RFC 9901) in our form. Raises Malformed (`evidence.disclosure`, `ledger.disclosure`)."""
    try:
        array = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        array = b""
    if not array or urlsafe_b64encode(array).rstrip(b"=").decode() != text:
        raise EVIDENCE_DISCLOSURE("a disclosure is not canonical base64url")
    if not _SALTED.match(array):
        raise EVIDENCE_DISCLOSURE("a disclosure does not begin with a valid salt")
    return parsed_disclosure(array)


def _entry(members: dict[str, bytes], index: int) -> EvidenceEntry:
    proof = TlogProof.parse(_member(members, f"entries/{index}.tlog-proof"))
    texts: list[str] = []
    lines = members.get(f"entries/{index}.disclosures", b"")
    if lines:
        texts = lines.decode("ascii", "replace").split("\n", FIELDS_MAX + 1)
        if texts.pop() or len(texts) > FIELDS_MAX:
            raise EVIDENCE_DISCLOSURE(f"entry {index} discloses too many fields, or an incomplete one")
    return EvidenceEntry(
        index=index,
        leaf=_member(members, f"entries/{index}.json"),
        hashes=proof.hashes,
        disclosures=tuple(disclosure_of(text) for text in texts),
    )


def _keys(content: bytes) -> tuple[VerifierKey, ...]:
    lines = content.decode("utf-8", "replace").split("\n", KEYS_MAX + 1)
    if lines.pop():
        raise EVIDENCE_KEYS("the keys of the log are not whole lines")
    return tuple(VerifierKey.parse(line) for line in lines)


def _member(members: dict[str, bytes], name: str) -> bytes:
    if name not in members:
        raise EVIDENCE_MEMBER(f"the bundle lacks {shown(name)}")
    return members[name]
