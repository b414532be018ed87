"""Bundles made by hand: what is refused, what is said about the rest."""

from __future__ import annotations

import dataclasses
import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest

from answerable.core.canonical import JSONValue, encode
from answerable.core.evidence.archive import encode_archive, parse_archive
from answerable.core.evidence.bundle import Bundle, EvidenceEntry, disclosure_of
from answerable.core.ledger.disclosure import Disclosure, opened_fields, parsed_disclosure
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import inclusion_proof, leaf_hash, reader_over
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import log_key
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.evidence_report import EvidenceReport, ShownEntry
from answerable.verify.report import instant
from tests.worlds.ledger import (
    BEGIN,
    KEY,
    STORY,
    SUBJECT,
    ForgedLog,
    entry,
    policy,
    prelude,
    sealed_story,
    story,
)


def bundle_of(log: ForgedLog, indexes: Sequence[int], shown: Sequence[int] = (), **changed: object) -> Bundle:
    """A bundle of these entries, all fields of those in `shown` revealed, under the newest checkpoint."""
    size = max(log.seals)
    hash_at = reader_over([leaf_hash(one.leaf) for one in log.entries[:size]])
    entries = tuple(
        EvidenceEntry(
            index=index,
            leaf=log.entries[index].leaf,
            hashes=inclusion_proof(index=index, size=size, hash_at=hash_at),
            disclosures=fields_of(log.entries[index]) if index in shown else (),
        )
        for index in indexes
    )
    checkpoint = log.cosigned_note(size) if log.cosigned else log.note(size)
    bundle = Bundle(checkpoint=checkpoint, keys=(KEY,), policy=policy(), entries=entries)
    return dataclasses.replace(bundle, **changed)


def fields_of(one: Entry) -> tuple[Disclosure, ...]:
    return tuple(sorted(opened_fields(one.attachment, SUBJECT), key=lambda field: field.digest))


@pytest.fixture
def log(tmp_path: Path) -> ForgedLog:
    return sealed_story(tmp_path, cosigned={STORY: START + 1000})


def wrong(report: EvidenceReport) -> set[str]:
    return {one.rule for one in report.findings if one.severity == "error"}


def test_a_bundle_is_plainly_valid_under_a_policy_of_ones_own(log: ForgedLog) -> None:
    bundle = bundle_of(log, range(STORY), shown=(BEGIN, BEGIN + 1))
    report = verify_evidence(bundle.encoded(), policy=policy())
    assert (report.status, report.findings, report.caveats) == ("valid", (), ())
    assert (report.origin, report.size, report.witnessed_at) == (KEY.name, STORY, START + 1000)
    begun = report.entries[BEGIN]
    assert (begun.tag, begun.shown, begun.hidden) == (Tag.INTENT, (("payload", '{"action":1}'),), 0)
    assert report.entries[1].hidden == 1
    value = json.loads(json.dumps(report.as_value()))
    assert value["entries"][BEGIN]["shown"] == {"payload": {"action": 1}}
    lines = report.as_lines()
    assert f"entry {BEGIN}: intent, {instant(START)}" in lines
    assert f"entry 1: cited, {instant(START)}, 1 fields not shown" in lines


def test_what_came_with_the_bundle_is_not_taken_for_proof(log: ForgedLog) -> None:
    bundle = bundle_of(log, [0, 1])
    report = verify_evidence(bundle.encoded())
    assert (report.status, [one.code for one in report.caveats]) == ("valid_but", ["policy_not_given"])
    alone = dataclasses.replace(bundle, policy=None)
    report = verify_evidence(alone.encoded())
    codes = ["policy_not_given", "key_not_given", "not_witnessed"]
    assert (report.status, [one.code for one in report.caveats]) == ("valid_but", codes)
    report = verify_evidence(alone.encoded(), key=KEY)
    assert [one.code for one in report.caveats] == ["policy_not_given", "not_witnessed"]
    assert verify_evidence(alone.encoded(), policy=policy()).status == "valid"


@pytest.mark.requirement("EVIDENCE-02")
def test_a_checkpoint_that_the_policy_does_not_accept_is_refused(log: ForgedLog) -> None:
    encoded = bundle_of(log, [0]).encoded()
    report = verify_evidence(encoded, policy=policy(key=log_key("ledger.example/other")[0]))
    assert (report.status, wrong(report)) == ("invalid", {"checkpoint.signature"})
    assert report.as_lines()[-1].startswith("  error: checkpoint:")
    other = log_key("ledger.example/other")[0]
    assert wrong(verify_evidence(encoded, policy=policy(), key=other)) == {"checkpoint.signature"}


@pytest.mark.requirement("EVIDENCE-02")
@pytest.mark.requirement("SAME-04")
def test_too_few_cosignatures_are_not_met_and_no_forgery_and_bad_ones_are_wrong(log: ForgedLog) -> None:
    bundle = bundle_of(log, [0])
    for trusted in (policy("witness.example/other"), policy("witness.example/w1", "witness.example/w2")):
        report = verify_evidence(bundle.encoded(), policy=trusted)
        assert (report.status, wrong(report), report.is_witnessed) == ("unmet", set(), False)
        assert [(one.code, one.unmet) for one in report.caveats] == [("not_witnessed", True)]
        assert any(line.startswith("NOT MET") for line in report.as_lines())
        assert "is not met" in report.caveats[0].message
    # Whoever asks for no quorum of his own is told all the same, and nothing that he asked for is missing.
    theirs = dataclasses.replace(bundle, policy=policy("witness.example/other"))
    assert verify_evidence(theirs.encoded()).status == "valid_but"
    lines = bundle.checkpoint.split(b"\n")
    at = next(number for number, line in enumerate(lines) if b"witness.example/w1" in line)
    name, _, signature = lines[at].rpartition(b" ")
    lines[at] = name + b" " + signature[:-8] + b"AAAA" + signature[-4:]
    broken = dataclasses.replace(bundle, checkpoint=b"\n".join(lines))
    assert verify_evidence(broken.encoded(), policy=policy()).status == "invalid"


@pytest.mark.requirement("EVIDENCE-03")
def test_no_byte_of_a_bundle_can_be_changed(log: ForgedLog) -> None:
    encoded = bundle_of(log, [0, BEGIN], shown=(BEGIN,)).encoded()
    for at in range(0, len(encoded), 3):
        changed = bytearray(encoded)
        changed[at] ^= 1 << at % 8
        assert verify_evidence(bytes(changed), policy=policy()).status == "invalid", at


def remade(bundle: Bundle, **members: bytes | None) -> bytes:
    """The archive of a bundle with some members exchanged, and everything that follows from them left as it is."""
    kept = parse_archive(bundle.encoded())
    for name, content in members.items():
        name = name.replace("__", "/").replace("_", ".")
        if content is None:
            kept.pop(name)
        else:
            kept[name] = content
    return encode_archive(kept)


@pytest.mark.requirement("EVIDENCE-03")
def test_members_cannot_be_added_exchanged_or_left_out(log: ForgedLog) -> None:
    bundle = bundle_of(log, [0, BEGIN], shown=(BEGIN,))
    other = bundle_of(log, [0, BEGIN + 2], shown=(BEGIN + 2,))
    members = parse_archive(other.encoded())
    for name, content in (
        ("entries__4_json", members["entries/6.json"]),
        ("entries__4_json", None),
        ("entries__4_disclosures", members["entries/6.disclosures"]),
        ("entries__4_disclosures", None),
        ("entries__0_disclosures", members["entries/6.disclosures"]),
        ("manifest_json", members["manifest.json"]),
        ("manifest_json", None),
        ("policy", None),
        ("policy", b"quorum none\n"),
        ("log_pub", b""),
        ("log_pub", f"{KEY.formatted()}\n".encode() * 9),
        ("checkpoint", log.note(6)),
        ("checkpoint", b"rubbish"),
        ("entries__99_json", b"{}"),
        ("more", b""),
    ):
        report = verify_evidence(remade(bundle, **{name: content}), policy=policy())
        assert report.status == "invalid", name
        assert report.entries == ()


@pytest.mark.requirement("EVIDENCE-04")
def test_a_shown_field_cannot_be_moved_repeated_or_made_up(log: ForgedLog) -> None:
    begun, told = fields_of(log.entries[BEGIN]), fields_of(log.entries[BEGIN + 1])
    salt = urlsafe_b64encode(bytes(16)).rstrip(b"=")
    made_up = parsed_disclosure(b'["%b","payload",{"action":2}]' % salt)
    leaf = log.entries[BEGIN].leaf
    for shown in (told, (*begun, *begun), (made_up,), (*begun, *told)):
        with pytest.raises(Malformed) as refused:
            EvidenceEntry(index=BEGIN, leaf=leaf, hashes=(), disclosures=shown)
        assert refused.value.code == "evidence.disclosure"


@pytest.mark.parametrize(
    "array",
    [b'["short","a",1]', b'["AAAAAAAAAAAAAAAAAAAAAA",1]', b"{}", b"", b'["AAAAAAAAAAAAAAAAAAAAAA", "a",1]'],
)
def test_a_disclosure_has_the_form_that_we_write(array: bytes) -> None:
    with pytest.raises(Malformed):
        disclosure_of(urlsafe_b64encode(array).rstrip(b"=").decode())


def test_a_disclosure_has_one_spelling() -> None:
    good = fields_of(story()[BEGIN])[0].encoded
    assert disclosure_of(good).encoded == good
    for bad in (good + "=", good + "\n", good[:-1], "ä", good.replace("W", "/", 1)):
        with pytest.raises(Malformed):
            disclosure_of(bad)


@pytest.mark.requirement("EVIDENCE-02")
def test_entries_of_another_log_or_place_are_refused(log: ForgedLog, tmp_path: Path) -> None:
    bundle = bundle_of(log, [0, BEGIN])
    swapped = dataclasses.replace(bundle.entries[1], index=BEGIN + 1)
    report = verify_evidence(
        dataclasses.replace(bundle, entries=(bundle.entries[0], swapped)).encoded(), policy=policy()
    )
    assert wrong(report) == {"evidence.proof"}
    strange = dataclasses.replace(bundle.entries[1], leaf=log.entries[BEGIN + 2].leaf)
    report = verify_evidence(
        dataclasses.replace(bundle, entries=(bundle.entries[0], strange)).encoded(), policy=policy()
    )
    assert wrong(report) == {"evidence.proof"}


@pytest.mark.requirement("EVIDENCE-05")
def test_entries_that_contradict_one_another_are_refused_and_holes_are_told(tmp_path: Path) -> None:
    entries = story()
    log = ForgedLog(directory=tmp_path, entries=entries, seals=(STORY,), cosigned={STORY: START}).written()
    report = verify_evidence(bundle_of(log, [0, BEGIN, BEGIN + 3, BEGIN + 5]).encoded(), policy=policy())
    assert report.status == "valid"
    assert [one.message for one in report.findings] == [
        "3 entries of runs are not in this bundle",
        "3 entries that others refer to are not in this bundle",
        "1 intents of ends are not in this bundle",
    ]
    twice: dict[str, JSONValue] = {"mandate": "m-1"}
    late = entry(Tag.MANDATE_CLOSED, twice, at=START + 120_000)
    bad = [*prelude(), entries[BEGIN], entries[BEGIN + 1], entries[BEGIN + 1], late, entries[BEGIN + 3]]
    log = ForgedLog(directory=tmp_path, entries=bad, seals=(len(bad),), cosigned={len(bad): START})
    report = verify_evidence(bundle_of(log, range(len(bad))).encoded(), policy=policy())
    assert wrong(report) == {"pair.second_end", "run.gap", "time.ahead"}
    odd = Entry(tag=Tag.OUTCOME, leaf=encode({"at": 1, "tag": 99, "v": 7}), attachment=b"")
    log = ForgedLog(directory=tmp_path, entries=[*prelude(), odd], seals=(5,), cosigned={5: START})
    assert wrong(verify_evidence(bundle_of(log, [4]).encoded(), policy=policy())) == {"leaf.version"}


def test_a_bundle_has_entries_in_order_and_keys(log: ForgedLog) -> None:
    bundle = bundle_of(log, [0, 1])
    for changed in (
        {"entries": ()},
        {"entries": bundle.entries[::-1]},
        {"entries": (bundle.entries[0],) * 2},
        {"keys": ()},
    ):
        with pytest.raises(Malformed):
            dataclasses.replace(bundle, **changed)
    with pytest.raises(Malformed):
        EvidenceEntry(index=0, leaf=b"x" * 5000, hashes=())


def test_the_bytes_of_a_bundle_follow_from_its_content(log: ForgedLog) -> None:
    bundle = bundle_of(log, [0, BEGIN], shown=(BEGIN,))
    assert bundle.encoded() == bundle_of(log, [0, BEGIN], shown=(BEGIN,)).encoded()
    assert Bundle.parse(bundle.encoded()) == bundle


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 900 + "]" * 900], ids=["digits", "depth"])
def test_a_shown_value_that_python_does_not_read_is_told_as_text_or_value(value: str) -> None:
    array = b'["%b","result",%b]' % (b"A" * 24, value.encode())
    field = parsed_disclosure(array)
    entry_shown = ShownEntry(
        index=0, tag=2, at=0, leaf="{}", leaf_hash="", shown=((field.name, value),), hidden=0
    )
    report = EvidenceReport(
        origin="",
        size=1,
        root="",
        witnessed_at=0,
        cosigners=(),
        policy_given=True,
        findings=(),
        caveats=(),
        entries=(entry_shown,),
    )
    told = report.as_value()["entries"]
    assert isinstance(told, list)
    assert json.dumps(told)
