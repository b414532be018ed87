"""What the log of a target shows is an entry once, reaches who subscribed, and counts for stop rules as their kind
says."""

from __future__ import annotations

import pytest
from msgspec import structs

from answerable.core.attribution.finding import Finding
from answerable.core.incident.announcement import announcements_in
from answerable.core.incident.doors_told import log_finding_told
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused
from answerable.flows.counters.record_findings import record_findings
from answerable.flows.policy.place_triggered_holds import place_triggered_holds
from answerable.flows.policy.simulate_rule import simulate_rule
from answerable.testing.builders import Bench
from answerable.testing.clock import START
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.rule import again, code_of, fired, rule, ruled

pytestmark = pytest.mark.anyio
FORGED = Finding(
    id="0" * 32, target="shop-db", kind="postgres", verdict="forged", at=START, account="maria", is_governed=False,
    grade="B", line="ab" * 32, agent="scout", mandate="m-1", action="a" * 32, step=3, claimed="b" * 32,
)  # fmt: skip


def found(number: int, **more: object) -> Finding:
    return structs.replace(FORGED, id=f"{number:032x}", **more)


async def recorded(bench: Bench, *findings: Finding) -> None:
    await record_findings(bench.recorder, bench.authority, bench.counters, findings)
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)


@pytest.mark.requirement("FOLLOW-05")
async def test_a_forged_label_holds_the_agent_in_whose_session_it_was_set():
    bench = await ruled(
        rule("liars", "log_forged", limit=1, within="10m"),
        rule("past", "log_bypass", limit=0, within="10m"),
        rule("others", "log_content", limit=0, within="10m"),
    )
    await recorded(bench, found(1), found(2, agent="", mandate=""), found(3, verdict="phantom"))
    # What is known by an id that the sender of a mail chose is nobody's fault.
    await recorded(bench, found(5, verdict="content", grade="C"))
    assert await code_of(bench.act()) == "succeeded"
    # A restart, also one that lost the stored counts, goes on from the entries.
    bench = again(again(bench), forgetting=True)
    await recorded(bench, found(4))
    assert fired(bench) == [("liars", "held", "agent", "scout")]
    with pytest.raises(Refused) as held:
        await bench.act()
    assert held.value.code == "held.agent"
    trial = await simulate_rule(
        IndexAtHand(bench.recorder), bench.recorder, bench.authority, bench.walk.limits, "liars"
    )
    assert [one.what.name for one in trial.firings] == ["scout"]


@pytest.mark.requirement("FOLLOW-05", "FOLLOW-08")
async def test_another_content_in_a_session_of_the_agents_own_holds_it():
    bench = await ruled(rule("others", "log_content", limit=0, within="10m"))
    await recorded(bench, found(1, verdict="content", grade="B", differs="recipients"))
    assert fired(bench) == [("others", "held", "agent", "scout")]
    (entry,) = (one for one in bench.recorder.ledger.replay() if one.tag == Tag.LOG_FINDING)
    leaf, payload = bench.opened(entry.index)
    assert "differ in the recipients of action" in log_finding_told(leaf, payload or {})[0]


@pytest.mark.requirement("FOLLOW-05")
async def test_a_rule_on_logs_holds_whom_it_counts_and_nothing_else():
    for more in ({"holds": "tool"}, {"over": "instance"}):
        with pytest.raises(Malformed):
            await ruled(rule("liars", "log_forged", limit=1, within="10m", **more))


@pytest.mark.requirement("FOLLOW-02", "FOLLOW-06")
async def test_an_entry_holds_the_least_and_is_announced_without_the_name_of_the_account():
    bench = await Bench().registered()
    await recorded(bench, found(1), found(2, verdict="bypass", account="ans_x", is_governed=True, claimed=""))
    forged, bypass = (one for one in bench.recorder.ledger.replay() if one.tag == Tag.LOG_FINDING)
    assert b"maria" not in forged.leaf + forged.attachment
    (first, second) = (bench.opened(one.index) for one in (forged, bypass))
    assert (first[1]["account"], second[0]["account"]) == ("maria", "ans_x")
    announced = [
        announcements_in(one, "log.test", bench.recorder.subject_keys.find)[0] for one in (forged, bypass)
    ]
    assert [(one.change, one.kind, one.name, one.because, one.agent) for one in announced] == [
        ("found", "log", "shop-db", "forged", "scout"),
        ("found", "log", "shop-db", "bypass", "scout"),
    ]
    assert "maria" not in str(announced)
