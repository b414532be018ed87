"""Ledger directories built from the formats alone, so that tests can forge what the adapter never writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from answerable.core.canonical import JSONValue
from answerable.core.identity.principal import UnixMillis
from answerable.core.ledger.codec import (
    Head,
    SegmentHeader,
    chain_start,
    chained,
    frame_header,
    origin_hash,
)
from answerable.core.ledger.entry import SALT_BYTES, Entry, sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import leaf_hash, root_of
from answerable.core.tlog.note import VerifierKey, signed_note
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import ORIGIN, log_key
from answerable.verify.ledger_history import verify_ledger
from answerable.verify.report import LedgerReport

DIGEST = "cd" * 32


def entry(tag: Tag, members: dict[str, JSONValue], payload: bytes = b"", *, at: int = START) -> Entry:
    """An entry with these members."""
    salt = bytes(range(SALT_BYTES)) if payload else b""
    return sealed_entry(tag, at=UnixMillis(at), fields=members, payload=payload, salt=salt)


def genesis(origin: str = ORIGIN, key: VerifierKey | None = None) -> Entry:
    """The first entry."""
    return entry(Tag.GENESIS, {"origin": origin, "key": (key or log_key(origin)[0]).formatted()})


def intent(action: str, payload: bytes = b'{"action":1}', **changed: JSONValue) -> Entry:
    """An intent of this action."""
    members: dict[str, JSONValue] = {
        "action": action,
        "agent": "scout",
        "deadline": START + 60_000,
        "decision": {"by": ["all"], "effect": "allow", "lifted": [], "policy_set": DIGEST},
        "digest": DIGEST,
        "mandate": "m-1",
        "principal": "alice",
        "proof": {"binding": "peer", "kind": "socket", "message": DIGEST, "sequence": 4},
    }
    return entry(Tag.INTENT, {**members, **changed}, payload)


def end(
    begun: Entry,
    index: int,
    action: str,
    status: str = "succeeded",
    payload: bytes = b"",
    **changed: JSONValue,
) -> Entry:
    """How an intent ended: tag and status fit unless told otherwise."""
    tag = Tag.INDETERMINATE if status == "indeterminate" else Tag.OUTCOME
    members: dict[str, JSONValue] = {
        "action": action,
        "intent": index,
        "intent_leaf": leaf_hash(begun.leaf).hex(),
        "status": status,
    }
    return entry(tag, {**members, **changed}, payload)


def story() -> list[Entry]:
    """A short sound log: two actions, one of them settled and corrected, one refusal."""
    first, second = intent("a-1"), intent("a-2")
    return [
        genesis(),
        first,
        end(first, 1, "a-1", payload=b'{"result":1}'),
        second,
        entry(Tag.REFUSAL, {"action": "a-3", "agent": "scout"}, b'{"reasons":["no"]}'),
        end(second, 3, "a-2", "indeterminate"),
        end(second, 3, "a-2", "failed"),
    ]


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
    """A directory in the making. seals: sizes to sign a checkpoint at. cuts: entries that start a new segment."""

    directory: Path
    entries: list[Entry]
    seals: Sequence[int]
    cuts: Sequence[int] = ()
    origin: str = ORIGIN
    padding: int = 0
    head: bool = True
    signer: tuple[VerifierKey, Callable[[bytes], bytes]] | None = None

    def written(self) -> ForgedLog:
        """Write all files."""
        (self.directory / "wal").mkdir(parents=True, exist_ok=True)
        for old in (self.directory / "wal").iterdir():
            old.unlink()
        self.write_wal()
        key, _ = self.signer or log_key(self.origin)
        (self.directory / "log.pub").write_text(key.formatted() + "\n")
        notes = [self.note(size) for size in self.seals]
        (self.directory / "checkpoints.log").write_bytes(b"".join(note + b"\n" for note in notes))
        if notes:
            (self.directory / "checkpoint").write_bytes(notes[-1])
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
            head = Head(origin=self.origin, size=len(self.entries), chain=chain, clean=True)
            (self.directory / "head").write_bytes(head.encoded())

    def note(self, size: int) -> bytes:
        """A signed checkpoint over the first entries."""
        key, sign = self.signer or log_key(self.origin)
        root = root_of([leaf_hash(one.leaf) for one in self.entries[:size]])
        text = Checkpoint(origin=self.origin, size=size, root=root).text()
        return signed_note(text, key=key, sign=sign).encoded()


KEY = log_key()[0]
FIRST = "wal/0000000000000000.wal"


def checked(log: ForgedLog) -> LedgerReport:
    """The verdict with the right key."""
    return verify_ledger(log.directory, key=KEY)


def rules(report: LedgerReport) -> set[str]:
    return {one.rule for one in report.findings if one.severity == "error"}


def sealed_story(directory: Path, **changed: object) -> ForgedLog:
    entries = story()
    log = ForgedLog(directory=directory, entries=entries, seals=(3, len(entries)))
    return dataclasses.replace(log, **changed).written()  # type: ignore[arg-type]


def flipped(path: Path, at: int, value: int) -> bytes:
    """Change one byte of a file; returns what it held."""
    content = path.read_bytes()
    path.write_bytes(content[:at] + bytes([content[at] ^ value]) + content[at + 1 :])
    return content
