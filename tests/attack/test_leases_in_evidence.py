"""Evidence of an action that used a lease: the lease's entries are in the bundle, and they must agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.ledger.entry import entry_of
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.flows.ledger.assemble_evidence import assemble_evidence
from answerable.testing.contracts.ledger import log_key
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.evidence_report import EvidenceReport
from tests.attack.test_false_lease_entries import gone, told, written
from tests.worlds.ledger_files import small_log
from tests.worlds.selected import selected

pytestmark = pytest.mark.anyio


async def handed_over(bench: Any, directory: Path, **wanted: Any) -> EvidenceReport:
    """What a stranger reads in the bundle of these entries, once they are in the files of a log."""
    ledger = small_log(directory / "log")
    for number in range(1, bench.recorder.ledger.size):
        stored = bench.recorder.ledger.entry(number)
        await ledger.append(entry_of(stored.tag, stored.leaf, stored.attachment))
    ledger.seal()
    evidence = assemble_evidence(
        selected(ledger.replay(), **wanted),
        replay=wanted.get("replay", False),
        reveal=(),
        entry=ledger.entry,
        published=PublishedFiles(directory / "log"),
        find=lambda key_id: None,
        policy="",
    )
    await ledger.close()
    return verify_evidence(evidence.bundle, key=log_key()[0])


def actions(bench: Any) -> list[str]:
    """The actions of the log, in order."""
    stored = map(bench.recorder.ledger.entry, range(bench.recorder.ledger.size))
    return [str(leaf_of(one)["action"]) for one in stored if one.tag == Tag.INTENT]


def left_out(report: EvidenceReport) -> list[str]:
    return [one.message for one in report.findings if "lease" in one.message]


@pytest.mark.requirement("EVIDENCE-01")
async def test_evidence_of_an_action_holds_the_entries_of_its_lease(tmp_path: Path) -> None:
    bench, lease = await told()
    await written(bench, lease, 2)
    await written(bench, gone(lease), 3)
    (action,) = actions(bench)
    report = await handed_over(bench, tmp_path, action=action)
    assert report.status != "invalid", report.as_lines()
    assert [one.tag for one in report.entries][-3:] == [Tag.OUTCOME, Tag.LEASE, Tag.LEASE]
    assert not left_out(report)
    assert not [one for one in report.findings if one.severity == "error"]


@pytest.mark.requirement("EVIDENCE-05")
async def test_a_lease_of_another_action_stays_out_and_an_intent_that_is_left_out_is_told(
    tmp_path: Path,
) -> None:
    bench, lease = await told(twice=True)
    await written(bench, gone(lease), 3)
    first, second = actions(bench)
    of_second = await handed_over(bench, tmp_path / "second", action=second)
    assert Tag.LEASE not in [one.tag for one in of_second.entries]
    last = bench.recorder.ledger.size - 1
    alone = await handed_over(bench, tmp_path / "alone", indexes=[last])
    assert left_out(alone) == ["1 intents of leases are not in this bundle"]
    whole = await handed_over(bench, tmp_path / "whole", action=first)
    assert (whole.entries[-1].tag, left_out(whole)) == (Tag.LEASE, [])
    assert "invalid" not in (of_second.status, alone.status, whole.status)


@pytest.mark.requirement("EVIDENCE-05")
@pytest.mark.parametrize("forged", ["order", "intent"])
async def test_entries_of_a_lease_that_contradict_one_another_are_refused(
    tmp_path: Path, forged: str
) -> None:
    bench, lease = await told(twice=True)
    if forged == "order":
        await written(bench, gone(lease), 3)
        await written(bench, lease, 4)
    else:
        ledger = bench.recorder.ledger
        later = [n for n in range(ledger.size) if ledger.entry(n).tag == Tag.INTENT][1]
        await written(bench, replace(gone(lease), intent=later), 3)
    report = await handed_over(bench, tmp_path, mandate="m-1")
    assert report.status == "invalid"
    assert [one.rule for one in report.findings if one.severity == "error"] == [f"lease.{forged}"]
