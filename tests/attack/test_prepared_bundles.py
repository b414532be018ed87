"""The bundle of one action that executed something: what prepared it comes along, and is compared offline."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from answerable.flows.ledger.assemble_evidence import assemble_evidence
from answerable.testing.builders import Bench, ledger_key
from answerable.testing.memory_ledger import MemoryLedger
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.evidence_report import EvidenceReport
from tests.worlds.prepared import LARGE, execute, prepared, prepared_bench, structured
from tests.worlds.published_memory import PublishedMemory
from tests.worlds.selected import selected

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PREPARE-06")]
SHOWN = ("prepared", "request", "object", "card", "token", "signer")


def report_on(bench: Bench, action: str, reveal: tuple[str, ...]) -> EvidenceReport:
    """What a stranger finds in the bundle about one action."""
    ledger = bench.recorder.ledger
    assert isinstance(ledger, MemoryLedger)
    evidence = assemble_evidence(
        selected(ledger.replay(), action=action),
        replay=False,
        reveal=reveal,
        entry=ledger.entry,
        published=PublishedMemory(ledger, ledger_key()),
        find=bench.recorder.subject_keys.find,
        policy="",
    )
    return verify_evidence(evidence.bundle, key=ledger_key(), answers=ShownAnswers())


async def ran() -> tuple[Bench, str]:
    bench, _ = await prepared_bench(structured(LARGE))
    named = await prepared(bench)
    await bench.answer((await execute(bench, named)).approval)
    return bench, (await execute(bench, named)).action_id


async def test_it_is_whole_and_right():
    bench, action = await ran()
    report = report_on(bench, action, SHOWN)
    assert [one.message for one in report.findings] == []
    kinds = [one.tag for one in report.entries]
    assert kinds.count(Tag.INTENT) == 2, "who had it prepared is among them"
    assert kinds.count(Tag.OUTCOME) == 2


async def test_what_is_not_shown_is_said_to_be_missing():
    bench, action = await ran()
    report = report_on(bench, action, ("object",))
    assert "what was prepared cannot be compared" in str(report.findings)
    assert not [one for one in report.findings if one.severity == "error"]
