"""A whole set of logs: shards, the log of logs, and every way in which they could not fit one another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from answerable.core.canonical import JSONValue
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.shards import ShardGap
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.note import VerifierKey
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import log_key
from answerable.verify.ledger_history import Progress
from answerable.verify.ledger_set import is_ledger_set, verify_ledger_set
from tests.worlds.ledger import BEGIN, STORY, ForgedLog, end, entry, flipped, genesis, intent, policy, prelude
from tests.worlds.ledger_set import BASE, HEADS, HEADS_KEY, ForgedSet, caveats, head_entry, own_story, rules

pytestmark = pytest.mark.requirement("SHARD-05")

# --- sound sets -------------------------------------------------------------------------------------


def test_a_sound_set_is_valid_but_for_what_a_copy_cannot_show(tmp_path: Path) -> None:
    report = ForgedSet(tmp_path).written().verified()
    assert (rules(report), report.status, report.size) == ({}, "valid_but", 2 * STORY + 5)
    assert list(report.logs) == ["heads", "shards/a", "shards/b"]
    assert caveats(report) == {place: ["newer_removed"] for place in report.logs}


def test_a_directory_of_one_log_is_no_set(tmp_path: Path) -> None:
    ForgedSet(tmp_path).written()
    assert is_ledger_set(tmp_path)
    assert not is_ledger_set(tmp_path / "heads")
    assert not is_ledger_set(tmp_path / "shards" / "a")


def test_the_key_of_the_log_of_logs_is_the_only_one_to_know(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    assert all(log.key_given for log in made.verified().logs.values())
    assert not any(log.key_given for log in made.verified(key=None).logs.values())


def test_what_witnesses_saw_of_the_log_of_logs_they_saw_of_every_shard(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path, cosigned=True).written()
    report = made.verified(key=None, policy=policy(key=HEADS_KEY))
    assert (rules(report), caveats(report), report.status) == ({}, {}, "valid")
    standing = report.shards["a"].standing
    assert (standing.witnessed, standing.witnessed_at) == (STORY, START)
    assert standing.cosigners == ("witness.example/w1",)


def test_without_cosignatures_another_history_may_exist_of_every_log(tmp_path: Path) -> None:
    report = ForgedSet(tmp_path).written().verified(key=None, policy=policy(key=HEADS_KEY))
    assert rules(report) == {}
    assert all("not_witnessed" in one for one in caveats(report).values())


def test_only_what_stands_below_the_cosigned_size_counts_as_seen(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path, cosigned=True).written()
    assert made.heads is not None
    made.heads.seals, made.heads.cosigned = (3, 5), {3: START}
    made.heads.written()
    report = made.verified(key=None, policy=policy(key=HEADS_KEY))
    assert report.shards["a"].standing.witnessed == BEGIN + 2
    assert caveats(report)["shards/a"] == ["unwitnessed_tail", "newer_removed"]


@pytest.mark.requirement("SAME-08")
def test_a_log_of_logs_without_the_cosignature_that_is_asked_for_is_told_stale(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path, cosigned=True).written()
    asked = {"key": None, "policy": policy(key=HEADS_KEY)}
    report = verify_ledger_set(made.directory, **asked, witnessed_since=START + 1)
    assert report.heads is not None
    assert [one.code for one in report.heads.caveats] == ["stale"]
    assert (report.heads.status, report.status) == ("unmet", "unmet")
    assert report.as_lines()[-1].startswith("NOT MET")
    assert all("stale" in found for place, found in caveats(report).items() if place != "set")
    met = verify_ledger_set(made.directory, **asked, witnessed_since=START)
    assert (met.status, met.as_lines()[-1]) == ("valid", "the whole set is valid, and nothing is left open")
    free = verify_ledger_set(made.directory, **asked)
    assert (free.status, "newer entries may exist" in free.as_lines()[-1]) == ("valid", True)


def test_a_shard_that_is_cosigned_itself_counts_so(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    made.shards["a"].cosigned = {STORY: START}
    made.shards["a"].written()
    report = made.verified(key=None, policy=policy(key=HEADS_KEY))
    assert report.shards["a"].standing.witnessed == STORY
    assert report.shards["b"].standing.witnessed == 0


def test_what_was_kept_of_any_log_must_be_led_on_from(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    assert made.heads is not None
    report = made.verified(kept=made.heads.note(5))
    assert (report.status, caveats(report)) == ("valid", {})
    report = made.verified(kept=made.shards["a"].note(STORY))
    assert set(caveats(report)) == {"heads", "shards/b"}
    other = ForgedLog(directory=tmp_path / "x", entries=own_story("o")[:3], seals=(), origin=f"{BASE}/a")
    assert rules(made.verified(kept=other.note(3))) == {"shards/a": {"checkpoint.root"}}
    stranger = ForgedLog(directory=tmp_path / "x", entries=own_story("o")[:3], seals=(), origin="o")
    assert rules(made.verified(kept=stranger.note(3))) == {"set": {"kept.origin"}}
    assert rules(made.verified(kept=b"no note")) == {"set": {"kept.form"}}


def test_progress_is_told_over_all_logs(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    told: list[Progress] = []
    report = verify_ledger_set(made.directory, key=HEADS_KEY, progress=told.append)
    assert told[-1].entries == report.size
    assert told[-1].read_bytes == told[-1].all_bytes
    assert [one.entries for one in told] == sorted(one.entries for one in told)


def test_the_public_parts_alone_are_a_set_too(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    for place in ("heads", "shards/a", "shards/b"):
        shutil.rmtree(tmp_path / place / "wal")
        (tmp_path / place / "head").unlink()
    report = made.verified()
    assert rules(report) == {}
    assert report.shards["a"].size == STORY
    (tmp_path / "shards/a/log.pub").unlink()
    assert rules(made.verified()) == {}, "its key is in its head"


# --- what is new ------------------------------------------------------------------------------------


def test_what_no_head_covers_yet_is_said(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    made.write_heads([genesis(HEADS), head_entry(made.shards["a"], BEGIN + 2)])
    report = made.verified()
    assert rules(report) == {}
    assert caveats(report)["set"] == ["uncovered_tail", "uncovered"]


def test_a_shard_without_a_head_stands_for_itself(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    made.write_heads([genesis(HEADS)])
    report = made.verified()
    assert not report.shards["a"].key_given
    assert report.status == "valid_but"


def test_a_gap_is_told(tmp_path: Path) -> None:
    gap = ShardGap(origin=f"{BASE}/a", why="forked", covered=STORY, size=STORY + 3)
    made = ForgedSet(tmp_path, more=(gap.entry(at=START), entry(Tag.GAP, {"count": 3}))).written()
    report = made.verified()
    assert [(one.rule, one.severity, one.index) for one in report.findings] == [("shard.gap", "warning", 5)]
    assert "forked" in "\n".join(report.as_lines())


# --- one log is not what was written ----------------------------------------------------------------


@pytest.mark.parametrize("place", ["heads", "shards/a", "shards/b"])
def test_a_changed_byte_is_found_in_the_log_that_it_is_in(tmp_path: Path, place: str) -> None:
    made = ForgedSet(tmp_path).written()
    flipped(tmp_path / place / "wal/0000000000000000.wal", 400, 1)
    report = made.verified()
    assert place in rules(report)
    assert report.status == "invalid"
    assert place in report.as_lines()[-1]
    others = {"heads", "shards/a", "shards/b"} - {place, "heads"}
    assert not others & rules(report).keys()


def test_a_shard_that_was_cut_back_with_all_it_signed_is_behind_its_head(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    short = made.shards["a"]
    short.entries, short.seals = short.entries[: BEGIN + 2], (BEGIN + 2,)
    short.written()
    report = made.verified()
    assert rules(report) == {"shards/a": {"entries.missing"}}
    [finding] = report.shards["a"].findings
    assert "entry 3 of the log of logs" in finding.message


def test_a_shard_rewritten_with_its_own_key_does_not_lead_to_its_heads(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    forged = made.shards["a"]
    forged.entries = [genesis(f"{BASE}/a"), *prelude()[1:], *(own_story("o")[BEGIN:])]
    other = intent("a-7")
    forged.entries[BEGIN:] = [
        other,
        end(other, BEGIN, "a-7"),
        *[entry(Tag.REFUSAL, {"action": "x", "agent": "y"})] * 4,
    ]
    forged.written()
    report = made.verified()
    assert rules(report) == {"shards/a": {"checkpoint.root"}}
    assert len(report.shards["a"].findings) == 2, "at both of its heads"


def test_a_shard_with_another_key_is_not_the_one_in_its_heads(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    other = log_key("o")[1]
    forged = made.shards["a"]
    public = log_key("o")[0].public
    forged.signer = (VerifierKey.ed25519(forged.origin, public), other)
    forged.entries[0] = genesis(forged.origin, forged.signer[0])
    forged.written()
    report = made.verified()
    assert {"key.other", "checkpoint.signature"} <= rules(report)["shards/a"]


def test_a_shard_that_was_taken_away_is_missed(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    shutil.rmtree(tmp_path / "shards/b")
    report = made.verified()
    assert rules(report) == {"set": {"shard.missing"}}
    assert report.status == "invalid"


def test_shards_in_each_others_places_are_noticed(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    (tmp_path / "shards/a").rename(tmp_path / "x")
    (tmp_path / "shards/b").rename(tmp_path / "shards/a")
    (tmp_path / "x").rename(tmp_path / "shards/b")
    found = rules(made.verified())
    assert "key.other" in found["shards/a"]
    assert "key.other" in found["shards/b"]


def test_without_the_log_of_logs_the_set_is_not_whole(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    shutil.rmtree(tmp_path / "heads")
    report = made.verified(key=None)
    assert rules(report) == {"set": {"heads.missing"}}
    assert report.heads is None
    assert report.as_value()["status"] == "invalid"


def test_a_log_of_logs_that_says_nothing_readable_covers_nothing(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    (tmp_path / "heads/wal/0000000000000000.wal").write_bytes(b"nothing")
    report = made.verified()
    assert "heads" in rules(report)
    assert caveats(report)["set"] == ["uncovered", "uncovered"]
    (tmp_path / "heads/log.pub").write_text("nothing\n")
    assert made.verified(key=None).status == "invalid"


# --- heads that are none ------------------------------------------------------------------------------


def forged_heads(made: ForgedSet, kind: str) -> list[Entry]:
    a = made.shards["a"]
    good = head_entry(a, STORY)
    match kind:
        case "shrinks":
            return [good, head_entry(a, BEGIN + 2)]
        case "other root, signed":
            fork = ForgedLog(directory=made.directory, entries=own_story("o"), seals=(), origin=a.origin)
            return [good, head_entry(fork, STORY)]
        case "other key":
            key = VerifierKey.ed25519(a.origin, log_key("o")[0].public)
            fork = ForgedLog(
                directory=made.directory,
                entries=a.entries,
                seals=(),
                origin=a.origin,
                signer=(key, log_key("o")[1]),
            )
            return [good, head_entry(fork, STORY)]
        case "not signed":
            return [head_entry(a, STORY, size=STORY - 1)]
        case "no head":
            return [head_entry(a, STORY, signature="")]
        case "no member":
            return [entry(Tag.SHARD_HEAD, {"origin": a.origin})]
        case "no shard":
            other = ForgedLog(
                directory=made.directory, entries=own_story("o"), seals=(), origin="elsewhere/a"
            )
            return [good, head_entry(other, STORY)]
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("shrinks", "shard_head.order"),
        ("other root, signed", "shard_head.root"),
        ("other key", "shard_head.key"),
        ("not signed", "shard_head.signature"),
        ("no head", "shard_head.leaf"),
        ("no member", "shard_head.leaf"),
        ("no shard", "shard_head.origin"),
    ],
)
def test_the_keeper_of_the_log_of_logs_cannot_put_in_what_a_shard_did_not_sign(
    tmp_path: Path, kind: str, rule: str
) -> None:
    made = ForgedSet(tmp_path).written()
    entries = [genesis(HEADS), *forged_heads(made, kind), head_entry(made.shards["b"], STORY)]
    made.write_heads(entries)
    report = made.verified()
    assert rule in rules(report)["set"]
    assert report.status == "invalid"
    [finding] = [one for one in report.findings if one.rule == rule]
    assert (finding.file, finding.index) == ("heads", len(entries) - 2)


def test_a_head_over_a_history_that_the_shard_never_had_is_an_error_of_the_shard(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    fork = ForgedLog(directory=tmp_path, entries=own_story("o"), seals=(), origin=made.shards["a"].origin)
    made.write_heads([genesis(HEADS), head_entry(fork, STORY - 1), head_entry(made.shards["b"], STORY)])
    assert rules(made.verified()) == {"shards/a": {"checkpoint.root"}}


def test_more_heads_of_the_same_checkpoint_are_no_fault(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    made.write_heads([genesis(HEADS), *made.own_heads(), head_entry(made.shards["a"], STORY)])
    assert rules(made.verified()) == {}


def test_what_else_stands_there_is_mentioned(tmp_path: Path) -> None:
    made = ForgedSet(tmp_path).written()
    (tmp_path / "shards/Not_A_Shard").mkdir()
    (tmp_path / "wal").mkdir()
    report = made.verified()
    assert [(one.rule, one.severity) for one in report.findings] == [("shard.stranger", "note")]
    assert caveats(report)["set"] == ["another_log"]


# --- references across shards -----------------------------------------------------------------------


def closing(made: ForgedSet, log: str, index: int, leaf: str | None = None) -> ForgedSet:
    """Shard b closes a mandate that was issued in another log."""
    b, a = made.shards["b"], made.shards["a"]
    there = leaf or leaf_hash(a.entries[index % len(a.entries)].leaf).hex()
    closed = {"mandate": "m-9", "agent": "scout", "by": "ab" * 32}
    b.entries.append(
        entry(Tag.MANDATE_CLOSED, {**closed, "mandate_ref": {"entry": index, "leaf": there, "log": log}})
    )
    b.written()
    return made


@pytest.fixture
def issued(tmp_path: Path) -> ForgedSet:
    """Shard a issues a mandate in its last entry."""
    members: dict[str, JSONValue] = {"mandate": "m-9", "agent": "scout", "principal": "ab" * 32}
    made = ForgedSet(
        tmp_path, entries=lambda origin: [*own_story(origin), entry(Tag.MANDATE_ISSUED, members)]
    )
    return made.written()


def test_a_reference_into_another_shard_is_followed(issued: ForgedSet) -> None:
    report = closing(issued, f"{BASE}/a", STORY).verified()
    assert rules(report) == {}
    assert "references_elsewhere" not in caveats(report)["shards/b"]


@pytest.mark.parametrize(
    ("index", "leaf", "rule"),
    [(STORY, "ab" * 32, "reference.leaf_hash"), (STORY + 9, "ab" * 32, "reference.missing")],
)
def test_a_reference_to_what_is_not_there_is_an_error(
    issued: ForgedSet, index: int, leaf: str, rule: str
) -> None:
    report = closing(issued, f"{BASE}/a", index, leaf).verified()
    assert rules(report) == {"set": {rule}}
    [finding] = report.findings
    assert f"entry {STORY + 1} of shard b refers to entry {index}" in finding.message


def test_a_reference_out_of_the_set_stays_open(issued: ForgedSet) -> None:
    report = closing(issued, "elsewhere.example/a", STORY).verified()
    assert rules(report) == {}
    assert "references_elsewhere" in caveats(report)["shards/b"]


def test_a_reference_within_a_log_is_of_the_kind_it_is_used_as(issued: ForgedSet) -> None:
    a = issued.shards["a"]
    place: dict[str, JSONValue] = {"entry": STORY, "leaf": leaf_hash(a.entries[STORY].leaf).hex()}
    other: dict[str, JSONValue] = {"entry": 1, "leaf": leaf_hash(a.entries[1].leaf).hex()}
    a.entries.append(entry(Tag.MANDATE_CLOSED, {"mandate": "m-9", "mandate_ref": place}))
    a.written()
    assert rules(issued.verified()) == {}
    a.entries[-1] = entry(Tag.MANDATE_CLOSED, {"mandate": "m-9", "mandate_ref": other})
    a.written()
    assert rules(issued.verified()) == {"shards/a": {"reference.kind"}}
