"""Sets of logs built from the formats alone, so that tests can forge what no process writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.ledger.entry import Entry, entry_of
from answerable.core.ledger.shards import ShardHead
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.note import VerifierKey
from answerable.core.tlog.policy import Policy
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import log_key
from answerable.verify.ledger_set import verify_ledger_set
from answerable.verify.set_report import LedgerSetReport
from tests.worlds.ledger import BEGIN, STORY, ForgedLog, genesis, story

BASE = "ledger.example/house"
HEADS = f"{BASE}/heads"
HEADS_KEY = log_key(HEADS)[0]


def own_story(origin: str) -> list[Entry]:
    """A sound log of this name."""
    return [genesis(origin), *story()[1:]]


@dataclass
class ForgedSet:
    """A set in the making: two shards with two checkpoints each, and a head of each of these."""

    directory: Path
    seals: Sequence[int] = (BEGIN + 2, STORY)
    shards: dict[str, ForgedLog] = field(default_factory=dict)
    heads: ForgedLog | None = None
    more: Sequence[Entry] = ()
    entries: Callable[[str], list[Entry]] = own_story
    cosigned: bool = False

    def written(self) -> ForgedSet:
        """Write all files."""
        for name in ("a", "b"):
            origin = f"{BASE}/{name}"
            self.shards[name] = ForgedLog(
                directory=self.directory / "shards" / name,
                entries=self.entries(origin),
                seals=self.seals,
                origin=origin,
            ).written()
        self.write_heads([genesis(HEADS), *self.own_heads(), *self.more])
        return self

    def own_heads(self) -> list[Entry]:
        """What a keeper that is honest writes."""
        return [head_entry(shard, size) for size in self.seals for _, shard in sorted(self.shards.items())]

    def write_heads(self, entries: list[Entry], **changed: object) -> None:
        """Write the log of logs anew."""
        self.heads = ForgedLog(
            directory=self.directory / "heads",
            entries=entries,
            seals=(len(entries),),
            origin=HEADS,
            cosigned={len(entries): START} if self.cosigned else {},
            **changed,
        ).written()

    def verified(
        self, key: VerifierKey | None = HEADS_KEY, policy: Policy | None = None, kept: bytes | None = None
    ) -> LedgerSetReport:
        """The verdict with the right key."""
        return verify_ledger_set(self.directory, key=key, policy=policy, kept=kept)


def head_entry(shard: ForgedLog, covered: int, /, **changed: JSONValue) -> Entry:
    """The head that a checkpoint of a shard makes, or with other members."""
    made = ShardHead.of_note(shard.note(covered), key=(shard.signer or log_key(shard.origin))[0]).entry(
        at=START
    )
    leaf = parse(made.leaf)
    assert isinstance(leaf, dict)
    return entry_of(Tag.SHARD_HEAD, encode({**leaf, **changed}), b"")


def rules(report: LedgerSetReport) -> dict[str, set[str]]:
    """What is wrong, by log; `set` is what they say of one another."""
    found = {
        place: {one.rule for one in log.findings if one.severity == "error"}
        for place, log in report.logs.items()
    }
    found["set"] = {one.rule for one in report.findings if one.severity == "error"}
    return {place: some for place, some in found.items() if some}


def caveats(report: LedgerSetReport) -> dict[str, list[str]]:
    found = {place: [one.code for one in log.caveats] for place, log in report.logs.items()}
    found["set"] = [one.code for one in report.caveats]
    return {place: some for place, some in found.items() if some}
