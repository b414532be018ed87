"""Bundles made by the real flow from a log in files: what strangers get, and what they cannot get out of it."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger
from answerable.core.evidence.archive import parse_archive
from answerable.core.ledger.disclosure import DISCLOSURE_SALT_BYTES, digest_of
from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.note import Note
from answerable.errors import Malformed
from answerable.flows.ledger.assemble_evidence import Evidence, assemble_evidence
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import log_key
from answerable.verify.evidence_bundle import verify_evidence
from tests.worlds.ledger import (
    CITED,
    SUBJECT,
    end,
    entry,
    intent,
    policy,
    run_after,
    witness_key,
)
from tests.worlds.ledger_files import small_log
from tests.worlds.selected import selected

SECRET = b'{"account":"DE89 3704 0044 0532 0130 00"}'
POLICY = policy()


@dataclass
class Log:
    """A closed log: its entries and its directory."""

    directory: Path
    entries: list[StoredEntry]

    def evidence(
        self,
        *,
        reveal: Iterable[str] = (),
        find: SubjectKey | None = SUBJECT,
        text: str = POLICY.text().decode(),
        **wanted: object,
    ) -> Evidence:
        """What the flow makes of it."""
        return assemble_evidence(
            selected(self.entries, **wanted),
            replay=wanted.get("replay", False),
            reveal=reveal,
            entry=self.entries.__getitem__,
            published=PublishedFiles(self.directory),
            find=lambda key_id: find,
            policy=text,
        )

    def named(self, tag: Tag, action: str = "a-1") -> int:
        """Index of the first entry of an action with this tag."""
        for stored in self.entries:
            leaf = json.loads(stored.leaf)
            if stored.tag == tag and leaf.get("action", action) == action:
                return stored.index
        raise AssertionError(tag)


async def written(directory: Path, *, cosigned: bool) -> list[StoredEntry]:
    async with small_log(directory) as ledger:
        first = ledger.size
        for one in CITED:
            await ledger.append(one)
        asked = entry(
            Tag.APPROVAL_ASKED,
            {"agent": "scout", "approval": "q-1", "digest": "cd" * 32, "mandate": "m-1"},
            b"[]",
            run=run_after(),
        )
        await ledger.append(asked)
        begun = intent("a-1", SECRET, run=run_after(asked), approval="q-1", cited_from=first)
        place = (await ledger.append(begun)).index
        await ledger.append(end(begun, place, "a-1", payload=b'{"paid":true}', run=run_after(begun)))
        other = intent("a-2", b'{"other":"secret"}', cited_from=first)
        await ledger.append(other)
        if cosigned:
            publish_cosigned(ledger)
        return list(ledger.replay())


def publish_cosigned(ledger: TlogFilesLedger) -> None:
    note = Note.parse(ledger.seal().encode())
    key, sign = witness_key("witness.example/w1")
    line = cosignature(note.text, key=key, timestamp=START // 1000 + 60, sign=sign)
    ledger.publish_cosigned(Note(text=note.text, signatures=(*note.signatures, line)).encoded())


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log", asyncio.run(written(tmp_path / "log", cosigned=True)))


@pytest.mark.requirement("EVIDENCE-01")
def test_all_about_an_action_is_handed_over_and_verified(log: Log) -> None:
    evidence = log.evidence(action="a-1", reveal=["payload"])
    report = verify_evidence(evidence.bundle, policy=POLICY)
    assert (report.status, report.findings) == ("valid", ()), report.as_lines()
    tags = [one.tag for one in report.entries]
    assert tags == [
        Tag.GENESIS,
        Tag.CITED,
        Tag.CITED,
        Tag.CITED,
        Tag.APPROVAL_ASKED,
        Tag.INTENT,
        Tag.OUTCOME,
    ]
    assert dict(report.entries[5].shown)["payload"] == SECRET.decode()
    assert (evidence.entries, evidence.size) == (tuple(range(7)), 8)
    assert evidence.bundle == log.evidence(action="a-1", reveal=["payload"]).bundle


@pytest.mark.requirement("EVIDENCE-01")
def test_a_mandate_and_single_entries_can_be_handed_over(log: Log) -> None:
    assert log.evidence(mandate="m-1").entries == tuple(range(8))
    told = log.named(Tag.OUTCOME)
    one = log.evidence(indexes=[told])
    assert one.entries == (0, 1, 2, 3, told - 1, told), (
        "an end brings its intent along, and what that refers to"
    )
    assert verify_evidence(one.bundle, policy=POLICY).status == "valid"


@pytest.mark.requirement("EVIDENCE-04")
def test_only_what_was_chosen_can_be_read_from_a_bundle(log: Log) -> None:
    begun = log.named(Tag.INTENT)
    evidence = log.evidence(action="a-1", reveal=[f"{begun + 1}:payload"])
    report = verify_evidence(evidence.bundle, policy=POLICY)
    assert [one.index for one in report.entries if one.shown] == [begun + 1]
    secrets = [SECRET, urlsafe_b64encode(SECRET), b"DE89", b"payload"]
    for name, content in parse_archive(evidence.bundle).items():
        texts = [content, *(_decoded(line) for line in content.split(b"\n"))]
        shown = name == f"entries/{begun + 1}.disclosures"
        for text in texts:
            found = [one for one in secrets if one in text and one != b"payload"]
            assert not found, name
            assert shown or b'"payload",' not in text, name
    assert log.entries[begun].attachment not in evidence.bundle


def _decoded(line: bytes) -> bytes:
    try:
        return urlsafe_b64decode(line + b"=" * (-len(line) % 4))
    except ValueError:
        return b""


@pytest.mark.requirement("EVIDENCE-04")
def test_a_disclosure_is_checked_as_the_rfc_says_by_who_knows_nothing_of_us(log: Log) -> None:
    evidence = log.evidence(action="a-1", reveal=["payload"])
    begun = log.named(Tag.INTENT)
    with zipfile.ZipFile(io.BytesIO(evidence.bundle)) as archive:
        leaf = json.loads(archive.read(f"entries/{begun}.json"))
        [text] = archive.read(f"entries/{begun}.disclosures").decode().splitlines()
    # RFC 9901, section 4.2.3: base64url(SHA-256(ASCII(disclosure))).
    digest = urlsafe_b64encode(sha256(text.encode("ascii")).digest()).rstrip(b"=").decode()
    assert digest in leaf["_sd"]
    salt, name, value = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert (name, value) == ("payload", json.loads(SECRET))
    assert len(urlsafe_b64decode(salt + "=" * (-len(salt) % 4))) == DISCLOSURE_SALT_BYTES


@pytest.mark.requirement("EVIDENCE-04")
def test_the_example_of_the_rfc_has_the_digest_of_the_rfc() -> None:
    text = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    array = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert digest_of(array) == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"


@pytest.mark.requirement("EVIDENCE-04")
def test_fields_whose_key_is_gone_stay_hidden_and_the_rest_is_handed_over(log: Log) -> None:
    evidence = log.evidence(action="a-1", reveal=["payload"], find=None)
    assert evidence.shown == 0
    assert log.named(Tag.INTENT) in evidence.withheld
    assert verify_evidence(evidence.bundle, policy=POLICY).status == "valid"


@pytest.mark.requirement("EVIDENCE-01")
@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("evidence.nothing", {}),
        ("evidence.nothing", {"action": "a-9"}),
        ("evidence.reveal", {"action": "a-1", "reveal": ["nothing-like-that"]}),
        ("evidence.reveal", {"action": "a-1", "reveal": [f"x{number}" for number in range(1001)]}),
    ],
)
def test_what_cannot_be_handed_over_is_said(log: Log, code: str, wanted: dict[str, object]) -> None:
    with pytest.raises(Malformed) as refused:
        log.evidence(**wanted)
    assert refused.value.code == code


@pytest.mark.requirement("EVIDENCE-01")
def test_entries_that_no_checkpoint_covers_are_not_handed_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with small_log(tmp_path / "log") as ledger:
            index = (await ledger.append(CITED[0])).index
            log = Log(tmp_path / "log", list(ledger.replay()))
            with pytest.raises(Malformed) as refused:
                log.evidence(indexes=[index])
            assert refused.value.code == "evidence.unsigned"
            ledger.seal()
            assert log.evidence(indexes=[index]).entries == (0, index)

    asyncio.run(run())


@pytest.mark.requirement("EVIDENCE-02")
def test_a_policy_of_another_log_is_left_out(log: Log) -> None:
    other = policy(key=log_key("ledger.example/other")[0]).text().decode()
    evidence = log.evidence(action="a-1", text=other)
    assert "policy" not in parse_archive(evidence.bundle)
    assert verify_evidence(evidence.bundle, policy=POLICY).status == "valid"
    assert "policy" not in parse_archive(log.evidence(action="a-1", text="").bundle)


@pytest.mark.requirement("EVIDENCE-02")
def test_leaf_hashes_in_the_manifest_are_those_of_the_log(log: Log) -> None:
    manifest = json.loads(parse_archive(log.evidence(action="a-1").bundle)["manifest.json"])
    for one in manifest["entries"]:
        assert one["leaf"] == leaf_hash(log.entries[one["index"]].leaf).hex()
