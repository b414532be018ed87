"""Every parser that reads a stranger's bytes, with valid samples to begin from.

A target takes any bytes. It returns, or raises an error of ours with one line of bounded length: all else is a fault.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Final, NamedTuple

from answerable.core.canonical import FrozenJSON, encode, parse
from answerable.core.evidence.archive import parse_archive
from answerable.core.evidence.bundle import Bundle, disclosure_of
from answerable.core.identity.names.target_url import normal_url
from answerable.core.identity.proof.dpop import check_signature, read_proof
from answerable.core.ledger.batch_head import HeadFields, verified_batch_head
from answerable.core.ledger.codec import (
    SegmentHeader,
    damaged_frame,
    decode_frame,
    frame_passed,
    notes_in,
    tail_after,
)
from answerable.core.ledger.disclosure import opened_fields, parsed_disclosure
from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.head import Head
from answerable.core.ledger.open_intents import OpenIntents
from answerable.core.ledger.opened import disclosures_of, payload_of
from answerable.core.ledger.shards import ShardHead, checked_shard_name, members_of
from answerable.core.ledger.subject_key import key_id_of
from answerable.core.mandate.authority import authority_in, detail_of
from answerable.core.mandate.delegation_chain import split_chain
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.note import Note, VerifierKey
from answerable.core.tlog.policy import parse_policy, verified_checkpoint_under
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.tile import decode_bundle, encode_bundle, parse_tile_path, tile_hashes, tile_path
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import AnswerableError
from answerable.flows.ledger.cosign_checkpoint import CosigningState, cosign_checkpoint
from answerable.testing.contracts.ledger import ORIGIN
from answerable.testing.delegation import WIDE, verify
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.leaf_rules import payload_fault, read_leaf
from tests.fuzz import click_bytes, obligation_bytes, passkey_bytes, policy_bytes, replay_bytes, tool_bytes
from tests.fuzz import valid_samples as valid
from tests.fuzz.valid_samples import KEY, joined, parted
from tests.probes.tampered_log import laid, sample, verdict
from tests.worlds.ledger import SUBJECT, story
from tests.worlds.ledger_script import trusted
from tests.worlds.witness import Log, desk

MESSAGE_CHARS_MAX: Final = 600
LOG_FILES: Final = (
    "wal/000000000000000b.wal",
    "head",
    "log.pub",
    "checkpoint",
    "checkpoints.log",
    "cosigned",
    "cosigned.log",
    "tile/0/000.p/16",
    "tile/entries/000.p/16",
)
_alive: Final = ExitStack()


class Target(NamedTuple):
    """samples: what the parser takes. parsed: what is called with any bytes. chars_max: of what it says of a fault."""

    samples: tuple[bytes, ...]
    parsed: Callable[[bytes], object]
    chars_max: int = MESSAGE_CHARS_MAX


def tried(target: Target, sent: bytes) -> None:
    """Raises what is a fault: anything that is not ours, or a message that is not one line of bounded length."""
    try:
        target.parsed(sent)
    except AnswerableError as error:
        if "\n" in error.message or len(error.message) > target.chars_max:
            raise AssertionError(f"not one short line: {error.message!r}") from error


def text_of(sent: bytes) -> str:
    """As a parser of text is given what a stranger sent."""
    return sent.decode("utf-8", "surrogateescape")


def _stored(sent: bytes) -> StoredEntry:
    leaf, attachment = parted(sent)
    return StoredEntry(index=0, tag=1, leaf=leaf, attachment=attachment, leaf_hash=leaf_hash(leaf))


def _frame(sent: bytes) -> None:
    frame_passed(sent, 0)
    damaged_frame(sent, 0)
    tail_after(sent, 0, next_index=3)
    decode_frame(sent, 0)


def _leaf(sent: bytes) -> None:
    """Says what is wrong instead of raising."""
    encoded, attachment = parted(sent)
    leaf = read_leaf(encoded)
    if not isinstance(leaf, tuple):
        payload_fault(leaf, attachment)


def _fields(sent: bytes) -> None:
    stored = _stored(sent)
    payload_of(stored, {"v": 1, "payload": "00" * 32}, lambda _: SUBJECT)
    payload_of(stored, {"v": 2}, lambda _: SUBJECT)
    disclosures_of(stored, lambda _: SUBJECT)


def _envelope(sent: bytes) -> None:
    key_id_of(sent)
    opened_fields(sent, SUBJECT)


def _plaintext(sent: bytes) -> None:
    """What somebody with the subject's key may have sealed."""
    opened_fields(SUBJECT.sealed(sent, data_key=bytes(32), nonce=bytes(12)), SUBJECT)


def _proof(sent: bytes) -> None:
    TlogProof.parse(sent).verify_under(trusted(), leaf=bytes(32), origin=ORIGIN, log_keys=(KEY,))


def _signed(sent: bytes) -> None:
    verified_checkpoint_under(sent, trusted(), origin=ORIGIN)
    verified_checkpoint(sent, origin=ORIGIN, log_keys=(KEY,))


def _counted(read: Callable[[bytes, int], object], sent: bytes) -> object:
    """The first byte says how many."""
    return read(sent[1:], sent[0] + 1 if sent else 1)


def _tile_path(sent: bytes) -> None:
    name = parse_tile_path(text_of(sent))
    if name is not None and name.path != text_of(sent):
        raise AssertionError(f"two spellings of {name.path}")


def _dpop(sent: bytes) -> None:
    proof = read_proof(sent.decode("latin-1"))
    check_signature(proof, thumbprint=None)
    if sent != valid.dpop().encode():
        raise AssertionError("a changed proof was accepted")


def _chain(sent: bytes) -> None:
    tokens = split_chain(sent.decode("latin-1"))
    verify(tokens)
    if tokens != valid.chain()[: len(tokens)]:
        raise AssertionError("a changed chain was accepted")


def _detail(sent: bytes) -> None:
    authority = authority_in(parse(sent))
    if authority_in(detail_of(authority)) != authority:
        raise AssertionError("an authority does not survive the wire")


def _target_url(sent: bytes) -> None:
    normal = normal_url(sent.decode("latin-1"))
    if normal_url(normal) != normal:
        raise AssertionError(f"{normal} is not the one spelling")


def _shard_head(sent: bytes) -> None:
    ShardHead.of_leaf(members_of(sent))


@cache
def _desk() -> CosigningState:
    """On real files, for as long as the process lives."""
    place = _alive.enter_context(tempfile.TemporaryDirectory())
    return _alive.enter_context(desk(Path(place), Log()))


def _log_file(name: str, sent: bytes) -> None:
    """A file of a copied log: verifying says what is wrong, never raises."""
    with laid({**sample("sixteen"), name: sent}) as directory:
        report = verdict(directory)
        report.as_value()
        report.as_lines()


def _evidence(sent: bytes) -> None:
    report = verify_evidence(sent, policy=trusted())
    report.as_value()
    report.as_lines()


@cache
def targets() -> dict[str, Target]:
    """All of them by name."""
    entry, log_text = story()[4], Note.parse(valid.witnessed_note()).text
    field = opened_fields(entry.attachment, SUBJECT)[0]
    found = {
        "dpop proof": Target((valid.dpop().encode(),), _dpop),
        "delegation chain": Target(("~".join(valid.chain()).encode(), valid.chain()[0].encode()), _chain),
        "delegation detail": Target((encode(detail_of(WIDE)),), _detail),
        "target url": Target((b"HTTPS://U.example:443/a/./%2e%2E/b",), _target_url),
        "json": Target((entry.leaf, b'{"a":[1,-2.5e-7,"\\u00e9",null,true]}'), parse),
        "canonical json": Target((entry.leaf,), lambda sent: FrozenJSON.from_canonical(sent)),
        "note": Target((valid.checkpoint_note(), valid.witnessed_note()), Note.parse),
        "checkpoint": Target((log_text, log_text + b"extension\n"), Checkpoint.parse),
        "cosigned checkpoint": Target((valid.witnessed_note(),), _signed),
        "verifier key": Target((KEY.formatted().encode(),), lambda sent: VerifierKey.parse(text_of(sent))),
        "policy": Target((trusted().text(),), parse_policy),
        "proof file": Target((valid.proof(),), _proof),
        "tile path": Target(
            (tile_path(3, 1_234_067, 17).encode(), tile_path(0, 5).encode()),
            _tile_path,
        ),
        "tile": Target((b"\x02" + bytes(96),), partial(_counted, lambda rest, n: tile_hashes(rest, width=n))),
        "bundle": Target(
            (b"\x02" + encode_bundle([b"one", b"", b"three"]),),
            partial(_counted, lambda rest, n: decode_bundle(rest, count=n)),
        ),
        "add-checkpoint": Target((valid.add_checkpoint(),), AddCheckpoint.parse),
        "witness request": Target(valid.witness_requests(), lambda sent: cosign_checkpoint(_desk(), sent)),
        "segment header": Target((valid.segment_header(),), SegmentHeader.parse),
        "frame": Target((valid.frames(),), _frame),
        "notes": Target((valid.checkpoint_note() + b"\n" + valid.witnessed_note() + b"\n",), notes_in),
        "head": Target((sample("sixteen")["head"],), Head.parse),
        "batch head": Target((valid.batch_head(),), lambda sent: verified_batch_head(sent, key=KEY)),
        "batch head text": Target((valid.batch_head_text(),), HeadFields.parse),
        "leaf": Target(tuple(joined(one.leaf, one.attachment) for one in story()), _leaf),
        "leaf tag": Target((entry.leaf, story()[5].leaf), lambda sent: OpenIntents().saw(sent, 1, 0, 0)),
        "fields": Target((joined(entry.leaf, entry.attachment),), _fields),
        "envelope": Target((entry.attachment,), _envelope),
        "sealed fields": Target((field.array + b"\n",), _plaintext),
        "disclosure array": Target((field.array,), parsed_disclosure),
        "disclosure": Target((field.encoded.encode(),), lambda sent: disclosure_of(text_of(sent))),
        "shard head": Target((valid.shard_leaf(),), _shard_head),
        "shard name": Target((b"gateway-7",), lambda sent: checked_shard_name(text_of(sent))),
        "archive": Target((valid.evidence(),), parse_archive),
        "evidence bundle": Target((valid.evidence(),), Bundle.parse),
        "evidence": Target((valid.evidence(),), _evidence),
    }
    found |= policy_targets()
    devices = passkey_bytes.samples()
    for name in devices:
        found[f"passkey {name}"] = Target(devices[name], getattr(passkey_bytes, name))
    clicks = click_bytes.samples()
    for name in clicks:
        found[f"click {name}"] = Target(clicks[name], getattr(click_bytes, name))
    for name in LOG_FILES:
        found[f"log file {name}"] = Target((sample("sixteen")[name],), partial(_log_file, name))
    return found


@cache
def policy_targets() -> dict[str, Target]:
    """The loaders of policy and registry, and what is decided on."""
    own, told = policy_bytes.samples(), policy_bytes.POLICY_MESSAGE_CHARS_MAX
    obliging, tools = obligation_bytes.samples(), tool_bytes.samples()
    again = replay_bytes.samples()
    return {
        "policy text": Target(own["policies"], policy_bytes.policies, told),
        "policy pieces": Target(own["policies"], policy_bytes.pieces),
        "registry file": Target(own["registry_file"], policy_bytes.registry_file, told),
        "registry json": Target(own["registry_json"], policy_bytes.registry_json, told),
        "arguments": Target(own["arguments"], policy_bytes.arguments),
        "context values": Target(own["context_values"], policy_bytes.context_values),
        "obligations": Target(obliging["annotation"], obligation_bytes.annotation),
        "narrowed arguments": Target(obliging["narrowed"], obligation_bytes.narrowed),
        "hidden answer": Target(obliging["answer"], obligation_bytes.answer),
        "asked question": Target(again["question"], replay_bytes.question),
        "asked policies": Target(again["policies"], replay_bytes.policies),
        "tool definition": Target(tools["definition"], tool_bytes.definition),
        "pointed arguments": Target(tools["pointed"], tool_bytes.pointed),
    }
