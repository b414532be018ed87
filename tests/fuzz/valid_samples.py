"""Valid bytes of every kind that strangers may send, to begin from."""

from __future__ import annotations

from functools import cache

from answerable.core.evidence.bundle import Bundle, EvidenceEntry
from answerable.core.identity.proof.dpop import dpop_proof
from answerable.core.ledger.batch_head import BatchHead, batch_head_key
from answerable.core.ledger.codec import SegmentHeader, chain_start, frame_header, origin_hash
from answerable.core.ledger.disclosure import opened_fields
from answerable.core.ledger.shards import ShardHead
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import inclusion_proof, leaf_hash, reader_over, root_of
from answerable.core.tlog.note import Note, signed_note
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import ORIGIN, log_key
from answerable.testing.delegation import three
from answerable.testing.samples import signing_key
from tests.worlds.ledger import SUBJECT, story
from tests.worlds.ledger_script import cosigned_note, trusted
from tests.worlds.witness import Log

KEY, SIGN = log_key()
SHOWN = (3, 4, 5)
"""Entries of the evidence bundle."""


@cache
def hashes() -> list[bytes]:
    """Leaf hashes of the story."""
    return [leaf_hash(one.leaf) for one in story()]


@cache
def chain() -> tuple[str, ...]:
    """Three hops, the last one signed by an agent."""
    return three()


@cache
def checkpoint_note() -> bytes:
    """A checkpoint over the story."""
    text = Checkpoint(origin=ORIGIN, size=len(hashes()), root=root_of(hashes())).text()
    return signed_note(text, key=KEY, sign=SIGN).encoded()


@cache
def witnessed_note() -> bytes:
    """The same, cosigned."""
    return cosigned_note(checkpoint_note())


def shown_entry(index: int) -> EvidenceEntry:
    """An entry of the story with its proof and all its fields."""
    entry = story()[index]
    proof = inclusion_proof(index=index, size=len(hashes()), hash_at=reader_over(hashes()))
    fields = opened_fields(entry.attachment, SUBJECT) if entry.attachment else ()
    disclosures = tuple(sorted(fields, key=lambda one: one.digest))
    return EvidenceEntry(index=index, leaf=entry.leaf, hashes=proof, disclosures=disclosures)


@cache
def evidence() -> bytes:
    """A bundle with a policy."""
    entries = tuple(shown_entry(index) for index in SHOWN)
    return Bundle(checkpoint=witnessed_note(), keys=(KEY,), policy=trusted(), entries=entries).encoded()


@cache
def proof() -> bytes:
    """A proof file."""
    found = inclusion_proof(index=4, size=len(hashes()), hash_at=reader_over(hashes()))
    return TlogProof(index=4, hashes=found, checkpoint=witnessed_note(), extra=b"any").encoded()


@cache
def batch_head() -> bytes:
    """A batch head."""
    head = BatchHead(batch_head_key(KEY), SIGN)
    head.fixed(origin=ORIGIN, size=10, chain=bytes(32), at=START)
    return head.signed()


def batch_head_text() -> bytes:
    """The text in it."""
    return Note.parse(batch_head()).text


def segment_header() -> bytes:
    """The header of a first segment."""
    return SegmentHeader(first_index=0, origin_hash=origin_hash(ORIGIN), chain=chain_start(ORIGIN)).encoded()


def frames() -> bytes:
    """Two entries as they stand in a segment, and some zeros."""
    made = b""
    for number, one in enumerate(story()[4:6]):
        made += frame_header(one.leaf, one.attachment, chain=bytes(32), batch=number)
        made += one.leaf + one.attachment
    return made + bytes(700)


@cache
def shard_leaf() -> bytes:
    """A shard's head in the log of logs."""
    return ShardHead.of_note(checkpoint_note(), key=KEY).entry(at=START).leaf


@cache
def witness_requests() -> tuple[bytes, ...]:
    """A first checkpoint, and growth."""
    log = Log()
    return (log.request(0, 3), log.request(3, 8), log.request(8, 8))


def add_checkpoint() -> bytes:
    """A request with a proof."""
    return AddCheckpoint(old_size=3, proof=tuple(hashes()[:3]), checkpoint=witnessed_note()).encoded()


def joined(first: bytes, second: bytes) -> bytes:
    """Two things as one: the length of the first goes before them."""
    return len(first).to_bytes(2, "big") + first + second


def parted(sent: bytes) -> tuple[bytes, bytes]:
    """The two again, whatever was sent."""
    size = int.from_bytes(sent[:2], "big")
    return sent[2 : 2 + size], sent[2 + size :]


@cache
def dpop() -> str:
    """A proof with every claim."""
    return dpop_proof(
        signing_key("scout"),
        method="POST",
        url="https://gateway.example/mcp/crm",
        identifier="0123456789abcdef",
        issued_at=1_795_000_000,
        token="a.b.c",
        nonce="n" * 22,
        message=b"{}",
    )
