"""An incident, a mandate's tree and actions under a manifest are told from the logs of all shards, at any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.api.ledger_answers import ActionUnder
from answerable.core.containment.hold import HoldTarget
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, Unavailable
from answerable.errors.codes.search import SEARCH_UNREACHABLE
from answerable.ports.search_process import (
    INCIDENT,
    INCIDENTS,
    TREE,
    UNDER,
    IncidentQuestion,
    IncidentsQuestion,
    TreeQuestion,
    UnderQuestion,
)
from answerable.testing.samples import AUDIENCE
from tests.attack.test_actions_under import NEWER, story
from tests.worlds.hold import stop
from tests.worlds.incident_statements import noted, opened
from tests.worlds.logs_at_hand import LogAtHand, joined
from tests.worlds.stories import told_bench

if TYPE_CHECKING:
    from answerable.api.incident_answers import IncidentAnswer
    from answerable.ports.search_process import A, Q, QuestionKind
    from answerable.testing.builders import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("INCIDENT-05")]
HOUR = 3_600


def asked(name: str, own: str, **benches: Bench) -> IncidentAnswer:
    index = joined(own, **{shard: LogAtHand(bench.recorder) for shard, bench in benches.items()})
    return index.ask(INCIDENT, IncidentQuestion(name=name))


async def test_an_incident_is_told_from_all_logs_and_alike_wherever_it_is_asked() -> None:
    a, b = await told_bench(), await told_bench()
    for bench in (a, b):
        bench.clock.advance(HOUR)
    incident = await opened(a, "agent", "scout", since_ms=1)
    await noted(a, incident, "personal data", classes=["personal-data"])
    await stop(a, HoldTarget("agent", "scout"))
    b.clock.advance(HOUR)
    await b.issue("m-3")
    await b.act(mandate="m-3")
    told = asked(incident.incident, "a", a=a, b=b)
    (late,) = [one.action for one in told.actions if one.action.mandate == "m-3"]
    assert (late.shard, len(told.actions)) == ("b", 7)
    assert {one.action.shard for one in told.actions} == {"a", "b"}
    clock = {one.name: one for one in told.clock}
    # The stop in one log came before what ran by the other one.
    assert clock["contained"].at is None
    assert clock["contained"].says == f"what did these has not been stopped since: #b/{late.entry}"
    assert (told.incident.shard, told.log, clock["detected"].shard) == ("a", AUDIENCE, "a")
    (read,) = told.data
    assert {one.partition("/")[0] for one in read.entries} == {"a", "b"}
    assert told.undoing == {"not_reversible": 2, "read": 3, "nothing_done": 2}
    assert {line.shard for line in told.story.lines} == {"a", "b"}
    other = asked(incident.incident, "b", a=a, b=b)
    assert (other.incident, other.clock, other.actions, other.notes) == (
        told.incident,
        told.clock,
        told.actions,
        told.notes,
    )
    assert asked(incident.incident[:9], "b", a=a, b=b).incident == told.incident
    elsewhere = await opened(b, "window", since_ms=1)
    with pytest.raises(Malformed, match=r"`inc_` may be 2 incidents"):
        asked("inc_", "a", a=a, b=b)
    assert asked(elsewhere.incident[:9], "a", a=a, b=b).incident.shard == "b"
    b.clock.advance(HOUR)
    await stop(b, HoldTarget("agent", "scout"))
    (held,) = [one["index"] for one in b.entries(Tag.HOLD_PLACED)]
    contained = next(one for one in asked(incident.incident, "a", a=a, b=b).clock if one.name == "contained")
    assert (contained.shard, contained.entry) == ("b", held)
    with pytest.raises(Malformed, match=r"there is no incident `inc_x`.* of a, b") as unknown:
        asked("inc_x", "a", a=a, b=b)
    assert unknown.value.code == "incident.unknown"


class Gone(LogAtHand):
    """One that gives no answer."""

    def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        raise SEARCH_UNREACHABLE()


async def test_no_incident_is_contained_where_a_log_was_not_read() -> None:
    a, b = await told_bench(), await told_bench()
    incident = await opened(a, "agent", "scout", since_ms=1)
    for bench in (a, b):
        bench.clock.advance(HOUR)
        await stop(bench, HoldTarget("agent", "scout"))
    read = {one.name: one for one in asked(incident.incident, "a", a=a, b=b).clock}
    assert read["contained"].at is not None
    logs = {"a": LogAtHand(a.recorder), "b": Gone(b.recorder)}
    away = joined("a", **logs).ask(INCIDENT, IncidentQuestion(name=incident.incident))
    unread = {one.name: one for one in away.clock}
    why = "what happened in the log of shard b is not known"
    for name in ("first attempt", "first effect", "contained"):
        assert (unread[name].at, unread[name].entry, unread[name].says) == (None, None, why)
    assert f"it is not contained: {why}" in away.questions


async def test_pages_of_incidents_of_all_logs_are_each_once_and_newest_first() -> None:
    a, b = await told_bench(), await told_bench()
    for at in range(3):
        bench = (a, b)[at % 2]
        for one in (a, b):
            one.clock.advance(HOUR)
        await opened(bench, "window", since_ms=at + 1)
        await noted(bench, await opened(bench, "window", since_ms=100 + at), "nothing")
    logs = {"a": LogAtHand(a.recorder), "b": LogAtHand(b.recorder)}
    for asked_logs, count in ((logs, 6), ({"a": logs["a"]}, 4)):
        index, cursor, rows = joined("a", **asked_logs), "", []
        while not rows or cursor:
            page = index.ask(INCIDENTS, IncidentsQuestion(limit=2, cursor=cursor))
            assert len(page.items) <= 2
            rows += page.items
            cursor = page.next
        assert len({(one.shard, one.id) for one in rows}) == len(rows) == count
        assert [one.opened_at for one in rows] == sorted((one.opened_at for one in rows), reverse=True)
        assert {one.notes for one in rows} == {0, 1}
    away = joined("a", a=logs["a"], b=Gone(b.recorder))
    page = away.ask(INCIDENTS, IncidentsQuestion(limit=50, cursor=""))
    assert (len(page.items), [*page.elsewhere], page.next) == (4, ["b"], "")
    incident = page.items[0].id
    told = away.ask(INCIDENT, IncidentQuestion(name=incident))
    assert [*told.story.elsewhere] == ["b"]
    assert any("what happened in the log of shard b" in one for one in told.questions)


async def test_actions_under_a_manifest_of_any_log_are_found_in_all_of_them_and_no_log_is_left_out() -> None:
    bench, (_, newer, _) = await story()
    entries = [*bench.recorder.ledger.replay()]
    has_made = [one for one in entries if one.tag not in (Tag.INTENT, Tag.OUTCOME)]
    has_acted = [one for one in entries if one.tag != Tag.MANIFEST_REGISTERED]
    a, b = LogAtHand(bench.recorder, has_made), LogAtHand(bench.recorder, has_acted)
    for own in ("a", "b"):
        index = joined(own, a=a, b=b)
        under: list[ActionUnder] = []
        cursor = ""
        while not under or cursor:
            question = UnderQuestion(
                manifest="", prompt="", model=NEWER.model_name, limit=2, cursor=cursor, entries=0
            )
            page = index.ask(UNDER, question)
            under += page.items
            cursor = page.next
        assert [one.index for one in under] == sorted(one.index for one in under)
        assert ({one.shard for one in under}, len(under)) == ({"b"}, 6)
        # What the manifest says is in the other log.
        assert all(one.made_of for one in under)
        assert newer in {one.manifest for one in under}
        with pytest.raises(Refused, match="no manifest in the ledger has model"):
            index.ask(UNDER, UnderQuestion(manifest="", prompt="", model="nothing", limit=9, cursor=""))
    with pytest.raises(Unavailable):
        joined("a", a=a, b=Gone(bench.recorder)).ask(
            UNDER, UnderQuestion(manifest=newer, prompt="", model="", limit=9, cursor="")
        )


async def test_the_tree_of_a_mandate_is_told_from_the_log_that_it_is_for() -> None:
    a, b = await told_bench(), await told_bench()
    await b.issue("m-3")
    await b.act(mandate="m-3")
    index = joined("a", a=LogAtHand(a.recorder), b=LogAtHand(b.recorder))
    assert index.ask(TREE, TreeQuestion(mandate="m-3")).actions.done == 0
    assert index.ask(TREE, TreeQuestion(mandate="m-3", log="house/b")).actions.done == 1
    with pytest.raises(Refused, match="which is no shard here"):
        index.ask(TREE, TreeQuestion(mandate="m-3", log="house/elsewhere"))
