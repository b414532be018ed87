"""Stranger: what the ledger says of each row is checked elsewhere, with the key of the log and nothing else of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from answerable.core.evidence.bundle import Bundle
from answerable.core.ledger.entry import StoredEntry
from answerable.core.tlog.note import VerifierKey
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.check_tokens_shown import ShownTokens
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.evidence_report import EvidenceReport
from answerable.wiring.ledger_copy import copied_entries
from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, prepare, still
from tests.seams.life import Life, life
from tests.worlds.up import environment

pytestmark = pytest.mark.requirement("SEAM-13")
NOT_LEARNT = {"policy_not_given", "not_witnessed"}
"""What a key alone leaves open: whose cosignatures count, and whether they have all come by now."""
OF_A_ROW_MAX = 8
"""Entries of a row that go into its bundle."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What a stranger has. place: with a copy of the ledger. key: the log's, known from elsewhere. bundles: by row."""

    life: Life
    place: Path
    key: str
    bundles: dict[str, bytes]

    def verified(self, content: bytes) -> EvidenceReport:
        key = VerifierKey.parse(self.key)
        return verify_evidence(content, key=key, tokens=ShownTokens(), answers=ShownAnswers())

    def command(self, *words: str) -> Any:
        """What the verifier prints where there is nothing of ours, with its exit code."""
        line = [sys.executable, "-m", "answerable.main", "--data", str(self.place / "none"), *words]
        done = subprocess.run(
            [*line, "--key", self.key, "--json"],
            capture_output=True, text=True, env=environment(), cwd=self.place, check=False,
        )  # fmt: skip
        return json.loads(done.stdout) | {"code": done.returncode}


@pytest.fixture(scope="module")
def lived() -> Iterator[Handed]:
    with life() as one:
        prepare(one)
        one.told("/v1/ledger/seal", {})
        handed = Handed(one, one.root / "stranger", one.told("/v1/ledger")["key"], {})
        shutil.copytree(
            one.home.data / "ledger", handed.place / "ledger", ignore=shutil.ignore_patterns("lock", "spare")
        )
        entries = [*copied_entries(handed.place / "ledger")]
        for row in FEATURES:
            handed.bundles[row.name] = bundle(one, of_row(one, row, entries))
        yield handed


def bundle(one: Life, entries: list[int]) -> bytes:
    """With what was signed, where something of it was."""
    wanted = {"about": {}, "entries": entries, "reveal": ["token"], "replay": False}
    status, found = one.asked("POST", "/v1/evidence", wanted)
    if found.get("code") == "evidence.reveal":
        status, found = one.asked("POST", "/v1/evidence", wanted | {"reveal": []})
    assert status == 200, found
    return b64decode(found["bundle"])


def of_row(one: Life, row: Feature, entries: list[StoredEntry]) -> list[int]:
    """Its entries, by their tags; and those under its mandate, for what is told by the entries of actions."""
    mandate = one.kept[row.name].get("mandate")
    found = [
        stored.index
        for stored in entries
        if stored.tag in row.tags or (mandate and json.loads(stored.leaf).get("mandate") == mandate)
    ]
    return found[-OF_A_ROW_MAX:]


@column("stranger")
def test_evidence_is_shown_or_hidden_and_forged_only_where_it_was_changed(lived: Handed, row: Feature):
    content = lived.bundles[row.name]
    report = lived.verified(content)
    assert report.status == "valid_but", report.as_lines()
    assert {one.code for one in report.caveats} <= NOT_LEARNT, report.as_lines()
    bundle = Bundle.parse(content)
    for number, entry in enumerate(bundle.entries):
        forged = replace(entry, leaf=entry.leaf.replace(b'"at":1', b'"at":2'))
        others = (*bundle.entries[:number], forged, *bundle.entries[number + 1 :])
        assert lived.verified(replace(bundle, entries=others).encoded()).status == "invalid", entry
    still(lived.life, row)


def test_the_verifier_alone_finds_the_ledger_and_a_bundle_as_they_were_written(lived: Handed):
    (lived.place / "bundle").write_bytes(lived.bundles["approval"])
    ledger = lived.command("ledger", "verify", "ledger")
    evidence = lived.command("evidence", "verify", "bundle")
    assert (ledger["status"], ledger["code"]) == ("valid_but", 0), ledger
    assert (evidence["status"], evidence["code"]) == ("valid_but", 0), evidence


def test_the_verifier_alone_finds_one_changed_byte_of_the_ledger(lived: Handed):
    copy = lived.place / "changed"
    shutil.copytree(lived.place / "ledger", copy)
    entry = next(one for one in copied_entries(copy) if one.index > 0)
    for path in copy.rglob("*"):
        if path.is_file() and entry.leaf in (content := path.read_bytes()):
            path.write_bytes(content.replace(entry.leaf, entry.leaf.replace(b'"at":1', b'"at":2')))
    found = lived.command("ledger", "verify", "changed")
    assert (found["status"], found["code"]) == ("invalid", 5), found
