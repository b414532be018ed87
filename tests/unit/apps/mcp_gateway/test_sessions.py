from __future__ import annotations

from functools import partial

import pytest

from answerable.apps.mcp_gateway.events import EventQueue, Granted
from answerable.apps.mcp_gateway.sessions import Sessions
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.testing.clock import START

pytestmark = pytest.mark.anyio
SCOUT, ROVER = AgentId("scout"), AgentId("rover")


async def test_a_session_is_its_agents_alone():
    sessions = Sessions(per_agent_max=2, idle_seconds=60)
    assert sessions.open("s1", SCOUT) == []
    assert sessions.find("s1", ROVER) is None
    assert sessions.find("s1", SCOUT) is not None
    assert sessions.find("s2", SCOUT) is None
    sessions.end("s1")
    sessions.end("s1")
    assert sessions.find("s1", SCOUT) is None


async def test_an_agent_with_too_many_sessions_loses_its_own_oldest_idle_one():
    sessions = Sessions(per_agent_max=2, idle_seconds=60)
    sessions.open("r", ROVER)
    sessions.open("s1", SCOUT)
    sessions.open("s2", SCOUT)
    busy = sessions.find("s1", SCOUT)
    assert busy is not None
    busy.requests = 1
    assert sessions.open("s3", SCOUT) == ["s2"]
    assert sessions.find("s1", SCOUT) is busy
    assert sessions.find("r", ROVER) is not None


async def test_idle_sessions_end_when_a_new_one_opens():
    sessions = Sessions(per_agent_max=9, idle_seconds=-1)
    sessions.open("s1", SCOUT)
    assert sessions.open("s2", ROVER) == ["s1"]


async def test_when_all_sessions_end_each_is_gone_and_whoever_waits_for_its_end_is_told():
    sessions, told = Sessions(per_agent_max=2, idle_seconds=60), []
    for name, agent in (("s1", SCOUT), ("s2", SCOUT), ("r", ROVER)):
        sessions.open(name, agent)
        sessions.release_by(name, partial(told.append, name))
    sessions.end_all()
    assert told == ["s1", "s2", "r"]
    assert sessions.find("s1", SCOUT) is sessions.find("r", ROVER) is None
    sessions.release_by("r", partial(told.append, "late"))
    sessions.end_all()
    assert told == ["s1", "s2", "r", "late"]


async def test_events_wait_once_each_and_an_overflow_ends_the_stream():
    queue = EventQueue(2)
    for _ in range(3):
        queue.put("notifications/tools/list_changed", "")
    assert await queue.take() == ("notifications/tools/list_changed", "")
    for number in range(3):
        queue.put("notifications/resources/updated", f"a://{number}")
    assert await queue.take() is None


async def test_a_grant_ends_with_its_mandate():
    open_mandates = {"m-1"}
    caller = VerifiedCaller(
        agent=SCOUT, proof="signature", binding="key", sequence=1, message_digest=bytes(32), at=START
    )

    def visible(_, mandate_id, server, *, delegation):
        assert server == "crm"
        return {("subscriptions/listen", "a://{x}")} if mandate_id in open_mandates else ()

    granted = Granted(server="crm", use="subscriptions/listen", visible=visible)
    granted.mandates["a://1"] = (caller, "m-1", "hop")
    assert granted.allows("a://1")
    assert not granted.allows("a://2")
    open_mandates.clear()
    assert not granted.allows("a://1")
    open_mandates.add("m-1")
    assert not granted.allows("a://1")
