"""Ledger directories built from the formats alone, so that tests can forge what the adapter never writes."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.codec import (
    SEGMENT_HEADER_BYTES,
    SegmentHeader,
    chain_start,
    chained,
    frame_header,
    origin_hash,
)
from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.entry import Entry, sealed_entry
from answerable.core.ledger.head import Head, OpenIntent, SealedAt, head_of
from answerable.core.ledger.runs import Run
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.merkle import leaf_hash, reader_over, root_of
from answerable.core.tlog.note import Note, VerifierKey, signed_note
from answerable.core.tlog.policy import Policy, parse_policy
from answerable.core.tlog.tile import TILE_HEIGHT, encode_bundle, tiles_of
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import ORIGIN, log_key
from answerable.testing.entropy import SeededEntropy
from answerable.verify.ledger_history import verify_ledger
from answerable.verify.report import LedgerReport

DIGEST = "cd" * 32
SUBJECT = SubjectKey(id=b"subject of tests", secret=bytes(32))
"""Whose data the entries hold."""
BEGIN = 4
"""Where entries follow after `prelude`."""


def entry(
    tag: Tag,
    members: dict[str, JSONValue],
    payload: bytes = b"",
    *,
    at: int = START,
    run: Run | None = None,
) -> Entry:
    """An entry with these members. payload: JSON, its one field; the same content has the same bytes."""
    chance = SeededEntropy(encode(members).decode())
    return sealed_entry(
        tag,
        at=UnixMillis(at),
        members=members,
        fields=((b"payload", payload),) if payload else (),
        sealing=Sealing(key=SUBJECT, random=chance.bytes),
        run=run,
    )


def genesis(origin: str = ORIGIN, key: VerifierKey | None = None) -> Entry:
    """The first entry."""
    return entry(Tag.GENESIS, {"origin": origin, "key": (key or log_key(origin)[0]).formatted()})


def cited(kind: str, name: str) -> Entry:
    """What intents refer to."""
    return entry(Tag.CITED, {"kind": kind, "name": name}, b'"text"')


CITED = (cited("mandate", "m-1"), cited("policy_set", DIGEST), cited("tool", DIGEST))


def prelude(origin: str = ORIGIN) -> list[Entry]:
    """What stands before the first intent."""
    return [genesis(origin), *CITED]


def references(first: int = 1) -> dict[str, JSONValue]:
    """To the cited entries, of which the first stands there."""
    names = ("mandate_ref", "policy_ref", "tool_ref")
    return {
        name: {"entry": index, "leaf": leaf_hash(one.leaf).hex()}
        for name, index, one in zip(names, range(first, first + 3), CITED, strict=True)
    }


def run_after(before: Entry | None = None, *, run_id: str = "00" * 8) -> Run:
    """The place after `before` in a run, or the first."""
    if before is None:
        return Run(id=run_id, prev="", seq=0)
    leaf = parse(before.leaf)
    assert isinstance(leaf, dict)
    run = leaf["run"]
    assert isinstance(run, dict)
    return Run(id=str(run["id"]), prev=leaf_hash(before.leaf).hex(), seq=int(str(run["seq"])) + 1)


def intent(
    action: str,
    payload: bytes = b'{"action":1}',
    *,
    at: int = START,
    run: Run | None = None,
    cited_from: int = 1,
    **changed: JSONValue,
) -> Entry:
    """An intent of this action, in a run of its own unless told otherwise. cited_from: where `CITED` stand."""
    members: dict[str, JSONValue] = {
        "action": action,
        "agent": "scout",
        "deadline": START + 60_000,
        "decision": {"by": ["all"], "effect": "allow", "lifted": [], "policy_set": DIGEST},
        "digest": DIGEST,
        "mandate": "m-1",
        "principal": "ab" * 32,
        "proof": {"binding": "peer", "kind": "socket", "sequence": 4},
        **references(cited_from),
    }
    own = run_after(run_id=sha256(action.encode()).hexdigest()[:16])
    return entry(Tag.INTENT, {**members, **changed}, payload, at=at, run=run or own)


def end(
    begun: Entry,
    index: int,
    action: str,
    status: str = "succeeded",
    payload: bytes = b"",
    *,
    at: int = START,
    run: Run | None = None,
    **changed: JSONValue,
) -> Entry:
    """How an intent ended: tag and status fit unless told otherwise, and the leaf hash of the intent is stated, as
    earlier versions did."""
    tag = Tag.INDETERMINATE if status == "indeterminate" else Tag.OUTCOME
    members: dict[str, JSONValue] = {
        "action": action,
        "intent": index,
        "intent_leaf": leaf_hash(begun.leaf).hex(),
        "status": status,
    }
    return entry(tag, {**members, **changed}, payload, at=at, run=run)


def story() -> list[Entry]:
    """A short sound log: two actions, one of them settled and corrected, one refusal, all in one run."""
    first = intent("a-1", run=run_after())
    told = end(first, BEGIN, "a-1", payload=b'{"result":1}', run=run_after(first))
    second = intent("a-2", run=run_after(told))
    refused = entry(
        Tag.REFUSAL,
        {"action": "a-3", "agent": "scout", "mandate": "m-1"},
        b'{"reasons":["no"]}',
        run=run_after(second),
    )
    unknown = end(second, BEGIN + 2, "a-2", "indeterminate", run=run_after(refused))
    found = end(second, BEGIN + 2, "a-2", "failed", run=run_after(unknown))
    return [*prelude(), first, told, second, refused, unknown, found]


STORY = 10
"""Entries of `story`."""


def frames(
    entries: Sequence[Entry], *, chain: bytes, first: int = 0, together: int = 1
) -> tuple[list[bytes], bytes]:
    """Frames of these entries, `together` of them in one sync each, and the chain value after them."""
    made = []
    for number, one in enumerate(entries):
        chain = chained(chain, leaf_hash(one.leaf))
        header = frame_header(
            one.leaf, one.attachment, chain=chain, batch=first + number // together * together
        )
        made.append(header + one.leaf + one.attachment)
    return made, chain


@dataclass
class ForgedLog:
    """A directory in the making. seals: sizes to sign a checkpoint at. cuts: entries that start a new segment.

    cosigned: time of the witnesses' signatures in Unix milliseconds by size. tiles: write the public part of the newest
    checkpoint, too. quantum: sign with ML-DSA-44 as well.
    """

    directory: Path
    entries: list[Entry]
    seals: Sequence[int]
    cuts: Sequence[int] = ()
    origin: str = ORIGIN
    padding: int = 0
    head: bool = True
    tiles: bool = True
    quantum: bool = False
    cosigned: Mapping[int, int] = field(default_factory=dict)
    witnesses: Sequence[str] = ("witness.example/w1",)
    signer: tuple[VerifierKey, Callable[[bytes], bytes]] | None = None

    def written(self) -> ForgedLog:
        """Write all files."""
        (self.directory / "wal").mkdir(parents=True, exist_ok=True)
        for old in (self.directory / "wal").iterdir():
            old.unlink()
        self.write_wal()
        keys = [
            (self.signer or log_key(self.origin))[0],
            *([quantum_key(self.origin)[0]] if self.quantum else ()),
        ]
        (self.directory / "log.pub").write_text("".join(f"{key.formatted()}\n" for key in keys))
        self.write_checkpoints()
        if self.tiles:
            self.write_tiles()
        return self

    def write_wal(self) -> None:
        """Write segments and head only: what somebody without the key can redo."""
        chain = chain_start(self.origin)
        starts = [0, *self.cuts]
        for first, stop in zip(starts, [*self.cuts, len(self.entries)], strict=True):
            header = SegmentHeader(first_index=first, origin_hash=origin_hash(self.origin), chain=chain)
            made, chain = frames(self.entries[first:stop], chain=chain, first=first)
            content = header.encoded() + b"".join(made) + bytes(self.padding)
            (self.directory / f"wal/{first:016x}.wal").write_bytes(content)
        if self.head:
            (self.directory / "head").write_bytes(self.head_now().encoded())

    def write_checkpoints(self) -> None:
        """Write everything that is signed."""
        for history, newest, notes in (
            ("checkpoints.log", "checkpoint", [self.note(size) for size in self.seals]),
            ("cosigned.log", "cosigned", [self.cosigned_note(size) for size in self.cosigned]),
        ):
            if notes or newest == "checkpoint":
                (self.directory / history).write_bytes(b"".join(note + b"\n" for note in notes))
            if notes:
                (self.directory / newest).write_bytes(notes[-1])

    def write_tiles(self) -> None:
        """Write the public part, as far as the newest checkpoint goes."""
        shutil.rmtree(self.directory / "tile", ignore_errors=True)
        size = max(self.seals, default=0)
        leaves = [one.leaf for one in self.entries[:size]]
        hash_at = reader_over([leaf_hash(one) for one in leaves])
        for name in tiles_of(size):
            places = range(name.index * 256, name.index * 256 + name.width)
            if name.level is None:
                content = encode_bundle([leaves[place] for place in places])
            else:
                content = b"".join(hash_at(name.level * TILE_HEIGHT, place) for place in places)
            path = self.directory / name.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def head_now(self) -> Head:
        """What the writer would record."""
        size, sealed = len(self.entries), max(self.seals, default=0)
        places = list(self.places())
        at = None
        if sealed:
            segment, _, stop = places[sealed - 1]
            at = SealedAt(size=sealed, chain=self.chain(sealed), segment=segment, offset=stop)
        opened = [OpenIntent(index, *places[index][:2]) for index in open_at(self.entries, sealed)]
        return head_of(
            origin=self.origin, size=size, chain=self.chain(size), clean=True, sealed=at, opened=opened
        )

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Of each entry: the first entry of its segment, and where it starts and stops in there."""
        segment, offset = 0, SEGMENT_HEADER_BYTES
        for index, one in enumerate(self.entries):
            if index in self.cuts:
                segment, offset = index, SEGMENT_HEADER_BYTES
            stop = offset + 64 + len(one.leaf) + len(one.attachment)
            yield segment, offset, stop
            offset = stop

    def chain(self, size: int) -> bytes:
        """The chain value after so many entries."""
        return frames(self.entries[:size], chain=chain_start(self.origin))[1]

    def note(self, size: int) -> bytes:
        """A signed checkpoint over the first entries."""
        key, sign = self.signer or log_key(self.origin)
        root = root_of([leaf_hash(one.leaf) for one in self.entries[:size]])
        text = Checkpoint(origin=self.origin, size=size, root=root).text()
        note = signed_note(text, key=key, sign=sign)
        if self.quantum:
            second, sign_second = quantum_key(self.origin)
            line = cosignature(text, key=second, timestamp=START // 1000, sign=sign_second)
            note = Note(text=text, signatures=(*note.signatures, line))
        return note.encoded()

    def cosigned_note(self, size: int, at: int | None = None) -> bytes:
        """The same with the cosignatures of all witnesses."""
        note = Note.parse(self.note(size))
        lines = []
        for name in self.witnesses:
            key, sign = witness_key(name)
            seconds = (self.cosigned[size] if at is None else at) // 1000
            lines.append(cosignature(note.text, key=key, timestamp=seconds, sign=sign))
        return Note(text=note.text, signatures=(*note.signatures, *lines)).encoded()


def open_at(entries: Sequence[Entry], size: int) -> list[int]:
    """Intents among the first `size` entries that have no end among all."""
    opened: dict[object, None] = {}
    for index, one in enumerate(entries):
        try:
            leaf = parse(one.leaf)
        except Malformed:
            continue
        if isinstance(leaf, dict) and leaf.get("tag") == Tag.INTENT and index < size:
            opened[index] = None
        elif isinstance(leaf, dict):
            opened.pop(leaf.get("intent"), None)
    return [index for index in opened if isinstance(index, int)]


def witness_key(name: str) -> tuple[VerifierKey, Callable[[bytes], bytes]]:
    """The key of a sample witness; it follows from the name and protects nothing."""
    private = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
    return VerifierKey.ed25519_cosignature(name, private.public_key().public_bytes_raw()), private.sign


def quantum_key(origin: str) -> tuple[VerifierKey, Callable[[bytes], bytes]]:
    """The log's second key."""
    private = MLDSA44PrivateKey.from_seed_bytes(sha256(origin.encode()).digest())
    return VerifierKey.ml_dsa_44(origin, private.public_key().public_bytes_raw()), private.sign


def policy(*names: str, quorum: str = "all", key: VerifierKey | None = None) -> Policy:
    """Trusts the log and these witnesses."""
    names = names or ("witness.example/w1",)
    lines = [f"log {(key or KEY).formatted()}"]
    lines += [
        f"witness {at} {witness_key(name)[0].formatted()}" for at, name in zip("abcdefg", names, strict=False)
    ]
    lines += [f"group q {quorum} {' '.join('abcdefg'[: len(names)])}", "quorum q"]
    return parse_policy("".join(f"{line}\n" for line in lines).encode())


KEY = log_key()[0]
FIRST = "wal/0000000000000000.wal"


def checked(log: ForgedLog) -> LedgerReport:
    """The verdict with the right key."""
    return verify_ledger(log.directory, key=KEY)


def rules(report: LedgerReport) -> set[str]:
    return {one.rule for one in report.findings if one.severity == "error"}


def codes(report: LedgerReport) -> list[str]:
    return [one.code for one in report.caveats]


def sealed_story(directory: Path, **changed: object) -> ForgedLog:
    log = ForgedLog(directory=directory, entries=story(), seals=(BEGIN + 2, STORY))
    return dataclasses.replace(log, **changed).written()


def flipped(path: Path, at: int, value: int) -> bytes:
    """Change one byte of a file; returns what it held."""
    content = path.read_bytes()
    path.write_bytes(content[:at] + bytes([content[at] ^ value]) + content[at + 1 :])
    return content
