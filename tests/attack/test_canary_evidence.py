"""What a stranger gets of a canary in a bundle of evidence, from a log in files."""

from __future__ import annotations

import pytest

from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger
from answerable.core.ledger.tags import Tag
from answerable.flows.ledger.assemble_evidence import assemble_evidence
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.evidence_bundle import verify_evidence
from tests.worlds.canary import TESTED, bench_with_tests, canary_on
from tests.worlds.ledger_files import SMALL
from tests.worlds.selected import selected

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("OVERSIGHT-06")]


async def test_a_bundle_about_a_question_has_what_opens_it_and_its_answer_checks(tmp_path):
    key, sign = log_key(AUDIENCE)
    async with TlogFilesLedger.open(
        tmp_path, key=key, sign=sign, clock=ManualClock(), settings=SMALL
    ) as ledger:
        bench = await bench_with_tests(TESTED, ledger=ledger)
        canary = await canary_on(bench)
        await bench.answer(canary, verdict="deny", comment="ten times too much")
        ledger.seal()
        entries = list(ledger.replay())
        found = assemble_evidence(
            selected(entries, mandate="m-1"),
            replay=False,
            reveal=("object", "card", "token", "signer"),
            entry=entries.__getitem__,
            published=PublishedFiles(tmp_path),
            find=bench.recorder.subject_keys.find,
            policy="",
        )
    tags = {entries[index].tag for index in found.entries}
    assert {Tag.APPROVAL_ASKED, Tag.CANARY_TOLD} <= tags
    answers = ShownAnswers()
    report = verify_evidence(found.bundle, key=key, answers=answers)
    assert report.status != "invalid", report.findings
    assert {one.rule for one in report.findings if one.severity == "error"} == set()
    assert answers.unread == 0
    passed_over = verify_evidence(found.bundle, key=key)
    assert "answers_not_compared" in {one.code for one in passed_over.caveats}
