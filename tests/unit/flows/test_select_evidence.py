"""The entries of an evidence bundle, by the index: as by a scan, and without opening what is about other mandates."""

from __future__ import annotations

import pytest

from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed
from answerable.flows.ledger import select_evidence as selecting
from answerable.flows.ledger.select_evidence import select_evidence
from answerable.ports.search_process import SelectionQuestion
from answerable.testing.builders import Bench
from tests.worlds.duty import delegate, duty_bench, waiting
from tests.worlds.selected import selected
from tests.worlds.stories import teller_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("STORY-06")]


async def lived() -> tuple[Bench, str]:
    """A log with an action that a deputy agreed to, one that is only asked about, and those of another mandate."""
    bench = await duty_bench()
    await bench.issue("m-2", agent="rover")
    await delegate(bench)
    await bench.answer(await waiting(bench), by="dan")
    assert (await bench.refund(6000)).outcome is not None
    await waiting(bench, 6_001)
    for _ in range(5):
        await bench.act(mandate="m-2", agent="rover")
    (intent,) = [one for one in bench.entries(Tag.INTENT) if one["mandate"] == "m-1"]
    return bench, str(intent["action"])


async def test_what_a_deputy_agreed_to_is_selected_as_by_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, action = await lived()
    entries = [*bench.recorder.ledger.replay()]
    about = selected(entries, action=action)
    assert {Tag.DUTY, Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.INTENT, Tag.OUTCOME} <= {
        entries[one].tag for one in about
    }
    for wanted in (
        {"mandate": "m-1"},
        {"mandate": "m-2"},
        {"action": str(bench.entries(Tag.APPROVAL_ASKED)[-1]["approval"])},
        {"indexes": tuple(one.index for one in entries if one.tag == Tag.INTENT)},
        {"action": action, "mandate": "m-2", "indexes": (0, len(entries))},
    ):
        assert selected(entries, **wanted), wanted
    opened: list[StoredEntry] = []

    def entry(index: int) -> StoredEntry:
        opened.append(entries[index])
        return entries[index]

    question = SelectionQuestion(indexes=(), action=action, mandate="", replay=True)
    with teller_of(bench.recorder) as teller:
        monkeypatch.setattr(bench.recorder.ledger, "entry", entry)
        select_evidence(teller, question)
        assert {leaf_of(one)["mandate"] for one in opened if one.tag == Tag.INTENT} == {"m-1"}
        monkeypatch.setattr(selecting, "LOOKED_AT_MAX", 3)
        with pytest.raises(Malformed) as fault:
            select_evidence(teller, SelectionQuestion(indexes=(), action="", mandate="m-2", replay=False))
    assert fault.value.code == "evidence.entries"
