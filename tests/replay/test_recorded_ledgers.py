"""Ledgers that earlier versions wrote verify for ever, and the present adapter reads them and goes on."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import recovery
from answerable.core.ledger.codec import decode_frame
from answerable.core.tlog.note import VerifierKey
from answerable.core.tlog.tile import tiles_of
from answerable.testing.contracts.ledger import refusal_entry
from answerable.verify.ledger_history import verify_ledger
from answerable.verify.report import Finding, LedgerReport
from tests.replay.record_ledger import opened, record
from tests.worlds.ledger import CITED

pytestmark = pytest.mark.requirement("LEDGER-09", "BUDGET-08")

RECORDED = Path(__file__).parent / "ledger-v1"
# Written down when it was recorded, so that nobody can change log and expectation together without noticing.
KEY = "ledger.example/recorded+8b3a38e7+AZrMtuJ6kidaYu1uR+8bfouiPrTjM110YjVe8i26//rT"
ROOT = "cb17c3121594a22e3121d67c8b078d9d183f8ff488afc9a3cdd6a9a4fa1c3c3e"
ENTRIES = 34
RECORDED_2 = Path(__file__).parent / "ledger-v2"
ROOT_2 = "d3a884baac794de54ca6b02d85bdbe5f2e4b174d0c5474058fa91d253d23dc96"
ENTRIES_2 = 36


# One entry of each kind under one mandate, in an order that no gateway writes: more calls than it allows, one of them
# after its close. Whoever verifies has been told so since entries are held to their mandates (LEDGER-44).
OF_THE_SAMPLE = {"pair.budget_spent", "pair.mandate_ended"}


def beyond(report: LedgerReport) -> list[Finding]:
    """What is found besides that."""
    return [one for one in report.findings if one.rule not in OF_THE_SAMPLE]


def test_the_recorded_ledger_verifies() -> None:
    kept = (RECORDED / "checkpoint").read_bytes()
    report = verify_ledger(RECORDED, key=VerifierKey.parse(KEY), kept=kept)
    assert beyond(report) == [], report.as_lines()
    assert (report.size, report.root, report.warnings) == (ENTRIES, ROOT, 0)
    assert set(report.entries_by_tag) == set(range(1, 14))
    assert report.open_intents_total == 12


def test_the_recorded_ledger_of_version_2_verifies() -> None:
    kept = (RECORDED_2 / "checkpoint").read_bytes()
    report = verify_ledger(RECORDED_2, key=VerifierKey.parse(KEY), kept=kept)
    assert beyond(report) == [], report.as_lines()
    assert (report.size, report.root, report.warnings) == (ENTRIES_2, ROOT_2, 0)
    assert set(report.entries_by_tag) == set(range(1, 15))


def test_the_present_adapter_opens_that_of_version_2_and_goes_on(tmp_path: Path) -> None:
    shutil.copytree(RECORDED_2, tmp_path / "log")

    async def run() -> None:
        async with opened(tmp_path / "log") as ledger:
            assert ledger.size == ENTRIES_2, "it was closed in order"
            await ledger.append(refusal_entry(1))

    asyncio.run(run())
    kept = (RECORDED_2 / "checkpoint").read_bytes()
    assert beyond(verify_ledger(tmp_path / "log", key=VerifierKey.parse(KEY), kept=kept)) == []


def test_the_present_adapter_opens_it_and_goes_on(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "log")

    async def run() -> None:
        async with opened(tmp_path / "log") as ledger:
            assert ledger.size == ENTRIES, "it was closed in order"
            assert ledger.checkpoint.encode() == (RECORDED / "checkpoint").read_bytes(), (
                "nothing is signed anew"
            )
            assert len(ledger.open_intents()) == 12
            for name in tiles_of(ENTRIES):
                assert (tmp_path / "log" / name.path).exists(), "it has its tiles now"
            await ledger.append(refusal_entry(1))
            assert len(ledger.consistency_proof(ENTRIES, ENTRIES)) == 0
            ledger.seal()
            assert ledger.consistency_proof(ENTRIES, ENTRIES + 1)

    asyncio.run(run())
    kept = (RECORDED / "checkpoint").read_bytes()
    assert beyond(verify_ledger(tmp_path / "log", key=VerifierKey.parse(KEY), kept=kept)) == []
    assert (
        (tmp_path / "log/checkpoints.log")
        .read_bytes()
        .startswith((RECORDED / "checkpoints.log").read_bytes())
    )


def test_the_present_adapter_reads_it_whole_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(RECORDED, tmp_path / "log")
    decoded: list[int] = []
    decode = decode_frame

    def noted(content: bytes, offset: int):
        decoded.append(offset)
        return decode(content, offset)

    monkeypatch.setattr(recovery, "decode_frame", noted)
    asyncio.run(opened_once(tmp_path / "log"))
    assert len(decoded) > ENTRIES
    decoded.clear()
    asyncio.run(opened_once(tmp_path / "log"))
    assert len(decoded) == 1, "that nothing follows the last entry"


def test_what_is_recorded_today_verifies_too(tmp_path: Path) -> None:
    record(tmp_path / "log")
    report = verify_ledger(tmp_path / "log", key=VerifierKey.parse(KEY))
    entries = ENTRIES - 1 + len(CITED)
    assert (beyond(report), report.warnings, report.size) == ([], 0, entries), "a clean reopening is none"


async def opened_once(directory: Path) -> None:
    await opened(directory).close()
