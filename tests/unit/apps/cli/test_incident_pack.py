"""The folder of an incident: nothing in it is a formula or an escape, and what was erased is nowhere in it."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from answerable.api.evidence_answers import Evidence
from answerable.apps.cli.incident_ocsf import ocsf_events
from answerable.apps.cli.incident_pack import BUNDLE, wanted_entries, wanted_fields, write_pack
from answerable.apps.cli.told_incident import duty_state, note_told
from answerable.core.ledger.subject import principal_subject
from answerable.errors import Malformed
from tests.worlds.incident_statements import incident_of, noted, opened
from tests.worlds.stories import told_bench

if TYPE_CHECKING:
    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.testing.builders import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("INCIDENT-03")]
EVIDENCE = Evidence(
    bundle="Ynl0ZXM=", origin="log", size=9, entries=(0, 1), shown=0, withheld=(), witnessed=False
)
EVIL = "=HYPERLINK(1)\x1b[31m\n|x"


class Erased:
    """The subject keys without that of one person."""

    def __init__(self, bench: Bench, person: str) -> None:
        self._keys = bench.recorder.subject_keys
        self._gone = self._keys.of(principal_subject(person)).id

    def find(self, key_id: bytes) -> SubjectKey | None:
        return None if key_id == self._gone else self._keys.find(key_id)


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return [*csv.DictReader(file)]


async def test_a_folder_has_every_table_and_nothing_in_it_is_calculated_or_breaks_a_line(tmp_path: Path):
    bench = await told_bench()
    await bench.issue("m-3")
    await bench.act("get_case", {"case": EVIL}, mandate="m-3")
    incident = await opened(bench, "agent", "scout", since_ms=1, text="@it is odd", classes=["personal-data"])
    await noted(bench, incident, "why?", question=1)
    await noted(bench, incident, "<script>x</script> \\[here](javascript:x)")
    answer = incident_of(bench, incident)
    files = write_pack(tmp_path / "pack", answer, EVIDENCE, "log+key")
    place = tmp_path / "pack"
    assert files == sorted(one.name for one in place.iterdir())
    for name in files:
        assert (place / name).stat().st_mode & 0o077 == 0
        if name.endswith((".csv", ".md", ".txt")):
            assert "\x1b" not in (place / name).read_text()
    actions = rows(place, "actions.csv")
    assert len(actions) == len(answer.actions) == 4
    (odd,) = [one for one in actions if "HYPERLINK" in one["resource"]]
    assert odd["resource"] == "'=HYPERLINK(1)\\u{1b}[31m\\u{a}|x"
    assert {one["undoing"] for one in actions} == {"not_reversible", "read", "nothing_done"}
    assert rows(place, "statements.csv")[0]["text"] == "'@it is odd"
    told = rows(place, "clock.csv")[4]
    assert [*told.values()] == ["told", "no data", "", "no note says that anybody was told"]
    assert {one["duty"]: one["state"] for one in rows(place, "duties.csv")}["gdpr-33"] == "open"
    checklist = (place / "checklist.md").read_text()
    assert "- [ ] **gdpr-33**: due 20" in checklist
    assert f"- bob asks (#{answer.notes[1].entry}): why?" in checklist
    assert r"\<script>x\</script> \\\[here](javascript:x)" in checklist, "nobody's markup and no link"
    assert json.loads((place / "ocsf.json").read_text()) == ocsf_events(answer)
    sums = dict(reversed(one.split("  ")) for one in (place / "SHA256SUMS").read_text().splitlines())
    assert {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in sums} == sums
    assert {*sums, "SHA256SUMS"} == {*files}
    assert (place / BUNDLE).read_bytes() == b"bytes"
    # Told again, it is the same to the byte.
    write_pack(tmp_path / "again", incident_of(bench, incident), EVIDENCE, "log+key")
    assert all((tmp_path / "again" / name).read_bytes() == (place / name).read_bytes() for name in files)
    (duty,) = [one for one in answer.duties if one.name == "gdpr-33"]
    assert duty_state(duty, now=4_000_000_000) == "OVERDUE"
    with pytest.raises(Malformed) as again:
        write_pack(place, answer, EVIDENCE, "log+key")
    assert again.value.code == "incident.folder"


async def test_a_question_and_its_answer_are_told_as_such_wherever_statements_are(tmp_path: Path):
    bench = await told_bench()
    incident = await opened(bench, "agent", "scout", since_ms=1)
    asked = await noted(bench, incident, "why?", question=1)
    await noted(bench, incident, "because", answers=asked.entry)
    other = await noted(bench, incident, "who?", question=1)
    await noted(bench, incident, "more")
    answer = incident_of(bench, incident)
    write_pack(tmp_path / "pack", answer, EVIDENCE, "log+key")
    assert [(one["change"], one["answers"]) for one in rows(tmp_path / "pack", "statements.csv")] == [
        ("opened", ""),
        ("asked", ""),
        ("answered", str(asked.entry)),
        ("asked", ""),
        ("noted", ""),
    ]
    said = [note_told(one).partition("  bob ")[2] for one in answer.notes]
    assert said[1:] == ["asked: why?", f"answered #{asked.entry}: because", "asked: who?", "noted: more"]
    checklist = (tmp_path / "pack" / "checklist.md").read_text()
    assert f"bob answered #{asked.entry}: because" in checklist
    assert f"- bob asks (#{other.entry}): who?" in checklist


async def test_what_was_erased_is_nowhere_in_a_folder_made_afterwards(tmp_path: Path):
    bench = await told_bench()
    incident = await opened(bench, "agent", "scout", since_ms=1, text="Dana's data are gone")
    note = await noted(bench, incident, "looked at it", by="alice")
    left: Any = Erased(bench, "bob")
    bench.recorder.subject_keys = left
    answer = incident_of(bench, incident)
    assert [one.text for one in answer.notes] == [None, "looked at it"]
    assert {incident.entry, note.entry} <= {*wanted_entries(answer)}
    assert {one.partition(":")[0] for one in wanted_fields(answer, ())} == {str(note.entry)}
    write_pack(tmp_path / "pack", answer, EVIDENCE, "log+key")
    for path in (tmp_path / "pack").iterdir():
        assert b"Dana" not in path.read_bytes(), path
    assert rows(tmp_path / "pack", "statements.csv")[0]["text"] == "no data"
