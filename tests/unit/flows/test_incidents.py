"""An incident is what its entries say: who may write them, and what is computed of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from answerable.core.containment.hold import HoldTarget
from answerable.core.incident.incident import incidents_in
from answerable.core.incident.incident_duties import IncidentRules
from answerable.core.incident.timeline import Moment, told
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed, Refused
from answerable.flows.counters.record_findings import record_findings
from answerable.flows.forensics import gather_incident
from answerable.flows.forensics.answer_questions import answered_incidents
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.forensics.tell_hits import millis
from answerable.flows.state.parts import InProgress
from answerable.ports.search_process import IncidentsQuestion
from answerable.testing.builders import Bench
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.unit.flows.test_record_findings import FORGED
from tests.worlds.hold import REACHING, bench_to_hold, stop
from tests.worlds.incident_statements import incident_of, incident_token, noted, opened, recorded
from tests.worlds.revocation import act_as_instance
from tests.worlds.stories import teller_of, told_bench

if TYPE_CHECKING:
    from answerable.api.incident_answers import IncidentAnswer

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("INCIDENT-01", "INCIDENT-02")]
HOUR = 3_600
NOT_IN_ENTRIES = {"key of the giver", "trust domain"}
"""Actions are not found by these names; the entries that refused them by the hold are."""


def clock(answer: IncidentAnswer) -> dict[str, tuple[int | None, str]]:
    return {one.name: (one.entry, one.says) for one in answer.clock}


def statements(bench: Bench) -> list[Moment]:
    found = (opened_moment(one, bench.recorder.subject_keys.find) for one in bench.recorder.ledger.replay())
    return [one for one in found if one.tag == Tag.INCIDENT]


async def code_of(bench: Bench, token: str, change: Any = "opened", **more: Any) -> str:
    with pytest.raises(AnswerableError) as raised:
        await recorded(bench, token, change, **more)
    return raised.value.code


async def test_an_incident_says_who_for_whom_which_task_decision_and_data_and_what_cannot_be_undone():
    bench = await told_bench()
    bench.clock.advance(HOUR)
    placed = await stop(bench, HoldTarget("agent", "scout"))
    bench.clock.advance(HOUR)
    incident = await opened(bench, "agent", "scout", since_ms=1)
    answer = incident_of(bench, incident)
    gist = answer.story.gist
    assert gist.agents == ("scout",)
    assert "alice" in gist.people
    assert any("m-1" in one and "Answer case 4711" in one for one in gist.tasks)
    assert "refund-large" in gist.rules
    assert any("bob" in one for one in gist.approvals)
    assert answer.undoing == {"not_reversible": 1, "read": 1, "nothing_done": 1}
    assert [(one.capability, one.resource, len(one.entries)) for one in answer.data] == [
        ("crm.read", "4711", 1)
    ]
    by_entry = {one.action.entry: one for one in answer.actions}
    (gone,) = map(int, gist.not_reversible)
    assert by_entry[gone].undoing == "not_reversible"
    said = clock(answer)
    assert said["first attempt"][0] == min(by_entry)
    assert said["first effect"][0] == gone
    (held,) = [one["index"] for one in bench.entries(Tag.HOLD_PLACED)]
    assert said["detected"][0] == said["contained"][0] == held
    assert said["told"] == (None, "no note says that anybody was told")
    assert {one.state for one in answer.duties} == {"no data"}
    assert "nobody has said whether it is serious, or whether personal data are affected" in answer.questions
    # From the hold, from the alert's entry and from a window of time it is the same.
    for kind, name in (("hold", placed.hold.id), ("alert", str(held)), ("window", "")):
        other = incident_of(bench, await opened(bench, kind, name, since_ms=1))
        assert {*by_entry} <= {one.action.entry for one in other.actions}, kind


async def test_what_people_were_only_asked_about_says_who_asked_and_by_which_rule():
    bench = await Bench().registered()
    await bench.issue("m-1")
    assert (await bench.refund(6000)).approval is not None
    gist = incident_of(bench, await opened(bench, "window", since_ms=1)).story.gist
    assert (gist.agents, gist.people, gist.rules) == (("scout",), ("alice",), ("refund-large",))
    assert gist.outcomes == {"asked": 1}


@pytest.mark.requirement("INCIDENT-06")
async def test_a_window_is_contained_when_all_that_ran_in_it_was_stopped_and_by_no_stop_of_anything_else():
    bench = await told_bench()
    bench.clock.advance(HOUR)
    window: dict[str, Any] = {"since_ms": 1, "until_ms": bench.clock.now() * 2}
    incident = await opened(bench, "window", **window)
    # m-1 was closed after all that ran under it; what ran under m-2 goes on.
    (other,) = [
        one.action.entry for one in incident_of(bench, incident).actions if one.action.agent == "rover"
    ]
    says = f"what did these has not been stopped since: #{other}"
    assert clock(incident_of(bench, incident))["contained"] == (None, says)
    await stop(bench, HoldTarget("agent", "nobody-here"))
    await stop(bench, HoldTarget("capability", "crm.refund"))
    assert clock(incident_of(bench, incident))["contained"] == (None, says)
    await stop(bench, HoldTarget("agent", "rover"))
    *_, held = [one["index"] for one in bench.entries(Tag.HOLD_PLACED)]
    assert clock(incident_of(bench, incident))["contained"][0] == held
    quiet = await opened(bench, "window", since_ms=1, until_ms=2)
    assert clock(incident_of(bench, quiet))["contained"] == (None, "nothing has stopped what it is about")


@pytest.mark.requirement("INCIDENT-02", "FOLLOW-06")
async def test_a_finding_in_a_targets_log_that_names_the_agent_is_when_it_was_detected(
    monkeypatch: pytest.MonkeyPatch,
):
    bench = await told_bench()

    async def found(number: int, **more: Any) -> None:
        bench.clock.advance(HOUR)
        one = structs.replace(FORGED, id=f"{number:032x}", verdict="bypass", action="", **more)
        await record_findings(bench.recorder, bench.authority, bench.counters, (one,))

    await found(1)
    since = bench.clock.now() + 1
    await found(2, agent="rover", mandate="m-2")
    await found(3)
    await found(4)
    *_, other, first, _ = bench.entries(Tag.LOG_FINDING)
    bench.clock.advance(HOUR)
    token = incident_token(bench, "bob", "a leak", "opened", kind="agent", name="scout", since_ms=since)
    answer = incident_of(
        bench, await recorded(bench, token, "opened", rules=IncidentRules(hours={"gdpr-33": 2}))
    )
    assert clock(answer)["detected"] == (
        first["index"],
        "the first rule that fired, hold, revocation or finding in a target's log, or the alert that it is about",
    )
    (duty,) = answer.duties
    assert millis(duty.due) == first["at"] + 2 * HOUR * 1_000
    # However much it did afterwards: the newest entries alone are told.
    monkeypatch.setattr(gather_incident, "ENTRIES_MAX", 3)
    await bench.issue("m-3")
    for _ in range(3):
        await bench.act(mandate="m-3")
    bench.clock.advance(1)
    busy = incident_of(bench, await opened(bench, "agent", "scout", since_ms=since))
    assert (busy.story.is_cut, clock(busy)["detected"][0]) == (True, first["index"])
    # A window has the findings about everybody.
    window = incident_of(bench, await opened(bench, "window", since_ms=since))
    assert clock(window)["detected"][0] == other["index"]


async def test_duties_are_as_configured_when_it_was_opened_and_end_with_a_note_that_somebody_was_told():
    bench = await told_bench()
    rules = IncidentRules(hours={"gdpr-33": 2, "ai-act-73": 3})
    token = incident_token(bench, "bob", "a leak", "opened", kind="agent", name="scout", since_ms=2)
    incident = await recorded(bench, token, "opened", rules=rules)
    await noted(bench, incident, "names of customers", classes=["personal-data"])
    before = {one.name: one for one in incident_of(bench, incident).duties}
    assert {name: (one.hours, one.state) for name, one in before.items()} == {
        "gdpr-33": (2, "open"),
        "ai-act-73": (3, "not said to apply"),
    }
    with pytest.raises(Malformed, match=r"before what incident .* is about") as early:
        await noted(bench, incident, "a wrong year", told="gdpr-33", told_ms=1)
    assert early.value.code == "incident.told"
    for wrong in ("gdpr33", "gdpr", "ai-act-73-death"):
        with pytest.raises(Malformed, match=r"its duties are `ai-act-73`, `gdpr-33`") as unknown:
            await noted(bench, incident, "by form", told=wrong, told_ms=bench.clock.now())
        assert unknown.value.code == "incident.duty", wrong
    await noted(bench, incident, "by phone", told="the-board", told_ms=bench.clock.now())
    assert {one.name: one.state for one in incident_of(bench, incident).duties}["gdpr-33"] == "open"
    bench.clock.advance(3 * HOUR)
    await noted(bench, incident, "by form", told="gdpr-33", told_ms=bench.clock.now())
    (late,) = [one for one in incident_of(bench, incident).duties if one.name == "gdpr-33"]
    assert late.state == "told late"
    assert late.told_at is not None
    assert late.due == before["gdpr-33"].due


async def test_questions_stay_open_until_a_note_answers_them_and_a_closed_incident_looks_no_further():
    bench = await told_bench()
    incident = await opened(bench, "agent", "rover", since_ms=1)
    asked = await noted(bench, incident, "who gave it that task?", by="alice", question=1)
    assert [one.text for one in incident_of(bench, incident).open_questions] == ["who gave it that task?"]
    await noted(bench, incident, "alice did", answers=asked.entry)
    await noted(bench, incident, "it may read", change="closed")
    bench.clock.advance(60)
    await bench.act(mandate="m-2", agent="rover")
    await noted(bench, incident, "again", change="closed")
    answer = incident_of(bench, incident)
    assert answer.open_questions == ()
    assert (answer.incident.state, len(answer.actions)) == ("closed", 1)
    assert clock(answer)["contained"] == (None, "nothing has stopped what it is about")
    assert clock(answer)["first effect"][1] == "there is no action that changed anything in it"
    with teller_of(bench.recorder) as teller:
        (row,) = answered_incidents(teller, IncidentsQuestion(limit=9, cursor="")).items
    assert (row.id, row.notes, row.open_questions) == (incident.incident, 2, 0)


async def test_an_incident_is_shown_by_the_beginning_of_its_id_and_several_are_listed():
    bench = await told_bench()
    first = await opened(bench, "window", since_ms=1)
    assert incident_of(bench, first._replace(incident="inc_")).incident.id == first.incident
    second = await opened(bench, "window", since_ms=1)
    for one in (first, second):
        for cut in (one.incident[:-1], f"{one.incident[:12]}…"):
            assert incident_of(bench, first._replace(incident=cut)).incident.id == one.incident
    with pytest.raises(Malformed, match=r"`inc_` may be 2 incidents: .*: give more of its id") as several:
        incident_of(bench, first._replace(incident="inc_"))
    assert several.value.code == "incident.ambiguous"
    assert first.incident in several.value.message
    assert second.incident in several.value.message
    for none in ("inc", "", "scout", f"{first.incident}x"):
        with pytest.raises(Malformed, match="there is no incident"):
            incident_of(bench, first._replace(incident=none))


async def test_an_incident_is_of_what_has_begun_and_of_the_classes_that_there_are():
    bench = await told_bench()
    later = bench.clock.now() + 1
    with pytest.raises(Malformed, match=r"begins at .*, which is not yet: name a time that is past"):
        await opened(bench, "window", since_ms=later)
    bench.clock.advance(1)
    incident = await opened(bench, "window", since_ms=later)
    with pytest.raises(Malformed) as wrong:
        await noted(bench, incident, "odd", classes=["bogus"])
    assert wrong.value.message == (
        "claim `classes` must be a list of `serious`, `widespread`, `death` or `personal-data`"
    )


@pytest.mark.requirement("INCIDENT-06")
async def test_a_statement_that_arrives_again_is_answered_with_its_entry_also_after_a_start():
    bench = await told_bench()
    same: dict[str, Any] = {"kind": "window", "since_ms": 1, "random": bytes(16)}
    token = incident_token(bench, "bob", "it is odd", "opened", **same)
    first, again = [await recorded(bench, token, "opened") for _ in range(2)]
    assert first == again
    note = incident_token(bench, "bob", "x", "noted", incident=first.incident, entry=first.entry)
    noted_once = [await recorded(bench, note, "noted", incident=first.incident)]
    bench.asking.under_way = InProgress()
    noted_once += [await recorded(bench, note, "noted", incident=first.incident) for _ in range(2)]
    assert len({*noted_once}) == 1
    assert await recorded(bench, token, "opened") == first
    moments = statements(bench)
    assert [one.index for one in moments] == [first.entry, noted_once[0].entry]
    # Its name is taken: nothing else is recorded under it, and nothing that was said is lost without a word.
    other = incident_token(bench, "bob", "it is very odd", "opened", **same)
    assert await code_of(bench, other) == "incident.malformed"
    # Of what an older version recorded twice, one counts, and without what opened it there is no incident.
    found = incidents_in([moments[0], *moments])[first.incident]
    assert (found.entry, len(found.notes)) == (first.entry, 2)
    assert incidents_in(moments[1:]) == {}


@pytest.mark.requirement("INCIDENT-06")
async def test_what_an_incident_is_to_be_about_must_be_there_and_an_alert_must_be_one():
    bench = await told_bench()

    async def refused(kind: str, name: str) -> str:
        with pytest.raises(Refused) as raised:
            await opened(bench, kind, name, since_ms=1)
        assert raised.value.code == "incident.about"
        return raised.value.message

    assert "no agent is called `scuot`; did you mean `scout`?" in await refused("agent", "scuot")
    for tag in (Tag.GENESIS, Tag.INTENT, Tag.OUTCOME, Tag.REFUSAL, Tag.MANDATE_CLOSED):
        entry = str(bench.entries(tag)[0]["index"])
        assert f"entry {entry} ({tag.name.lower()}) is no alert" in await refused("alert", entry)
    assert not statements(bench)
    await stop(bench, HoldTarget("owner", "alice"))
    (held,) = bench.entries(Tag.HOLD_PLACED)
    answer = incident_of(bench, await opened(bench, "alert", str(held["index"]), since_ms=1))
    assert {*answer.incident.covers} == {"person", "hold"}
    assert {one.action.agent for one in answer.actions} == {"scout", "rover"}


async def test_who_may_not_write_about_incidents_writes_nothing():
    bench = await told_bench()
    window: dict[str, Any] = {"kind": "window", "since_ms": 1}
    size = bench.recorder.ledger.size

    def token(by: str = "bob", **more: Any) -> str:
        return incident_token(bench, by, "odd", "opened", **{**window, **more})

    group = IncidentRules(group="responders")
    assert await code_of(bench, token(), rules=group) == "incident.right"
    assert await code_of(bench, token(by="scout")) == "incident.key", "an agent is nobody who signs"
    assert await code_of(bench, token(key="mallory")) == "incident.key"
    assert await code_of(bench, token(log="elsewhere")) == "incident.audience"
    assert await code_of(bench, token(), change="closed") == "incident.malformed"
    old = token()
    bench.clock.advance(HOUR)
    assert await code_of(bench, old) == "incident.stale"
    assert await code_of(bench, token(kind="hold", name="hold_" + "x" * 22)) == "incident.about"
    assert await code_of(bench, token(kind="vendor", name="nobody")) == "incident.about"
    assert await code_of(bench, token(kind="alert", name=str(10**9))) == "incident.about"
    other = incident_token(bench, "bob", "x", "noted", incident="inc_" + "a" * 22, entry=3)
    assert await code_of(bench, other, change="noted") == "incident.unknown"
    assert bench.recorder.ledger.size - size <= 1, "at most the entry that names bob's key"
    assert not statements(bench)
    await stop(bench, HoldTarget("owner", "bob"))
    assert await code_of(bench, token()) == "held.owner"


async def test_what_a_person_who_was_erased_said_is_withheld_and_the_incident_stays():
    bench = await told_bench()
    incident = await opened(bench, "agent", "scout", text="Dana's data are gone", since_ms=1)
    assert "Dana" in str(incident_of(bench, incident).notes)
    answer = incident_of(bench, incident, with_keys=False)
    assert [(one.text, one.by != "bob") for one in answer.notes] == [(None, True)]
    assert "Dana" not in str(answer)
    assert any("what these statements of people say was erased" in one for one in answer.questions)
    assert answer.undoing["not_readable"] == 2


async def test_its_entries_are_told_and_are_as_the_verifier_wants_them():
    bench = await told_bench()
    incident = await opened(bench, "agent", "scout", since_ms=1, classes=["serious"])
    asked = await noted(bench, incident, "why?", question=1)
    await noted(bench, incident, "because", answers=asked.entry)
    await noted(bench, incident, "told them", told="gdpr-33", told_ms=bench.clock.now())
    await noted(bench, incident, "done", change="closed")
    lines = [told(one) for one in statements(bench)]
    short = incident.incident
    assert [one.text for one in lines] == [
        f"bob opened incident {short} about agent scout.",
        f"bob asked about incident {short}.",
        f"bob answered question #{asked.entry} about incident {short}.",
        f"bob noted on incident {short}.",
        f"bob closed incident {short}.",
    ]
    assert {"text: it is odd", "said to be: serious"} <= {*lines[0].details}
    assert lines[3].details[1].startswith("told: gdpr-33, at ")
    for stored in bench.recorder.ledger.replay():
        if stored.tag == Tag.INCIDENT:
            assert not isinstance(read_leaf(stored.leaf), Fault)


async def test_what_a_vendor_did_is_told_before_anything_is_stopped():
    bench = await bench_to_hold()
    await act_as_instance(bench)
    of_maker = incident_of(bench, await opened(bench, "vendor", "model-maker", since_ms=1))
    of_server = incident_of(bench, await opened(bench, "vendor", "crm-maker", since_ms=1))
    assert (dict(of_maker.incident.covers), dict(of_server.incident.covers)) == (
        {"agent": ("scout",)},
        {"server": ("crm",)},
    )
    for answer in (of_maker, of_server):
        assert [one.action.capability for one in answer.actions] == ["crm.read"]
        assert clock(answer)["contained"] == (None, "nothing has stopped what it is about")
    assert not bench.entries(Tag.HOLD_PLACED)


@pytest.mark.parametrize("name", sorted(REACHING))
async def test_an_incident_about_a_hold_tells_what_the_hold_reaches(name: str):
    bench = await bench_to_hold()
    await act_as_instance(bench)
    bench.clock.advance(60)
    placed = await stop(bench, REACHING[name])
    answer = incident_of(bench, await opened(bench, "hold", placed.hold.id, since_ms=1))
    (held,) = [one["index"] for one in bench.entries(Tag.HOLD_PLACED)]
    assert clock(answer)["contained"][0] == held
    found = [one.action.capability for one in answer.actions]
    assert found == ([] if name in NOT_IN_ENTRIES else ["crm.read"])
