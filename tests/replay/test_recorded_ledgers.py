"""Ledgers that earlier versions wrote verify for ever, and the present adapter reads them and goes on."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from answerable.core.tlog.note import VerifierKey
from answerable.testing.contracts.ledger import refusal_entry
from answerable.verify.ledger_history import verify_ledger
from tests.replay.record_ledger import opened, record

pytestmark = pytest.mark.requirement("LEDGER-09")

RECORDED = Path(__file__).parent / "ledger-v1"
# Written down when it was recorded, so that nobody can change log and expectation together without noticing.
KEY = "ledger.example/recorded+8b3a38e7+AZrMtuJ6kidaYu1uR+8bfouiPrTjM110YjVe8i26//rT"
ROOT = "cb17c3121594a22e3121d67c8b078d9d183f8ff488afc9a3cdd6a9a4fa1c3c3e"
ENTRIES = 34


def test_the_recorded_ledger_verifies() -> None:
    kept = (RECORDED / "checkpoint").read_bytes()
    report = verify_ledger(RECORDED, key=VerifierKey.parse(KEY), kept_checkpoint=kept)
    assert report.status == "valid", report.as_lines()
    assert (report.size, report.root, report.warnings) == (ENTRIES, ROOT, 0)
    assert set(report.entries_by_tag) == set(range(1, 14))
    assert report.open_intents_total == 12


def test_the_present_adapter_opens_it_and_goes_on(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "log")

    async def run() -> None:
        async with opened(tmp_path / "log") as ledger:
            assert ledger.size == ENTRIES, "it was closed in order"
            await ledger.append(refusal_entry(1))

    asyncio.run(run())
    assert verify_ledger(tmp_path / "log", key=VerifierKey.parse(KEY)).errors == 0


def test_what_is_recorded_today_verifies_too(tmp_path: Path) -> None:
    record(tmp_path / "log")
    report = verify_ledger(tmp_path / "log", key=VerifierKey.parse(KEY))
    assert (report.errors, report.warnings, report.size) == (0, 0, ENTRIES - 1), "a clean reopening is none"
