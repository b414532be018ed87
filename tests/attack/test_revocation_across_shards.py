"""Whoever revokes through one process is told what every other one has in flight and has done, or that nobody knows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest

from answerable.adapters.shard_socket.messages import VERSION, Trace, asked_in
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.ledger.effects import DONE_NAMED_MAX, Done, Effects, Undoing, counts, ordered
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Malformed, Unavailable
from answerable.flows.revocation import trace_effects
from answerable.flows.revocation.revoke_authority import Stopped, revoke_authority
from answerable.testing.builders import Bench
from tests.worlds.link import BASE, LIMITS, A, door, link_of, sent, shard, two_shards

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("REVOKE-15")]

B = f"{BASE}/b"
SCOUT = RevocationTarget("agent", "scout")


async def three(directory: Path) -> tuple[Bench, Bench]:
    """a, which owns the mandate and acts, and b, through which is revoked, on one register."""
    a, b = await two_shards(directory)
    b.walk.authority.revocations = a.walk.authority.revocations
    return a, b


async def revoked(bench: Bench) -> Stopped:
    return await revoke_authority(bench.recorder, bench.authority, bench.live, SCOUT, by="operator")


async def test_what_another_process_has_in_flight_and_has_done_is_named_with_its_log_and_its_deadline(
    tmp_path,
):
    a, b = await three(tmp_path / "links")
    started, go_on = anyio.Event(), anyio.Event()

    async def held(_effect: object) -> None:
        started.set()
        await go_on.wait()

    async with door(tmp_path / "links", "a", a):
        await sent(b)
        a.upstream.before = held
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(sent, b, "refund", {"case": "4711", "amount": 100}))
            await started.wait()
            stopped = await revoked(b)
            go_on.set()
        again = await revoked(b)
    [flying] = stopped.in_flight
    assert (flying.log, flying.agent, flying.capability) == (A, "scout", "crm.refund")
    limits = a.walk.limits
    assert flying.due_at == flying.since + limits.intent_ttl_ms + limits.upstream_ms_max
    assert [(one.log, one.capability, one.undoing) for one in stopped.done] == [(A, "crm.read", "read")]
    assert [one.log for one in stopped.effects] == [B, A]
    assert stopped.not_asked == ()
    # What was in flight then has been done now, and comes first: it cannot be undone.
    assert again.in_flight == ()
    assert [one.capability for one in again.done] == ["crm.refund", "crm.read"]
    assert counts(again.effects) == {"not_reversible": 1, "reversible": 0, "read": 1}


async def test_a_process_that_is_not_running_is_named_and_not_passed_over(tmp_path):
    a, b = await three(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        await sent(b)
    stopped = await revoked(b)
    assert stopped.is_new
    [silent] = stopped.not_asked
    assert silent.log == A
    assert "`a` is not running" in silent.why
    assert [one.log for one in stopped.effects] == [B]


async def test_a_process_that_sleeps_through_the_question_is_named_when_its_time_is_over(tmp_path):
    a, b = await three(tmp_path / "links")
    b.walk.live.link = link_of(tmp_path / "links", "b", type(LIMITS)(trace_seconds_max=0.05))

    async def asleep(_what: RevocationTarget) -> Effects:
        await anyio.sleep_forever()
        raise AssertionError

    async with door(tmp_path / "links", "a", a, trace=asleep):
        stopped = await revoked(b)
    assert [(one.log, "gave no answer in" in one.why) for one in stopped.not_asked] == [(A, True)]


@pytest.mark.parametrize("fault", ["another log", "a fault", "nonsense"])
async def test_an_answer_that_is_none_is_said_and_not_taken(tmp_path, fault):
    a, b = await three(tmp_path / "links")

    async def odd(_what: RevocationTarget) -> Effects:
        if fault == "a fault":
            raise Unavailable("the disk is gone", code="ledger.busy", port="ledger")
        log = B if fault == "another log" else "x" * 200_000
        return Effects(
            log=log, in_flight=(), in_flight_count=0, done=(), counted={}, looked_from=0, entries=0
        )

    async with door(tmp_path / "links", "a", a, trace=odd):
        stopped = await revoked(b)
    [silent] = stopped.not_asked
    assert silent.log == A
    assert [one.log for one in stopped.effects] == [B]


async def test_a_question_for_another_process_or_of_another_version_is_not_answered(tmp_path):
    a, _ = await three(tmp_path / "links")
    c = shard("c", a)
    async with door(tmp_path / "links", "a", a), door(tmp_path / "links", "c", c):
        link = link_of(tmp_path / "links", "b")
        (tmp_path / "links" / "a.sock").unlink()
        (tmp_path / "links" / "a.sock").symlink_to("c.sock")
        with pytest.raises(Unavailable) as told:
            await link.effects(A, SCOUT)
        assert (told.value.code, told.value.effect) == ("shard.refused", "none")
        with pytest.raises(Unavailable):
            await link.effects("somebody.else/a", SCOUT)
    with pytest.raises(Malformed) as odd:
        asked_in(msgspec.msgpack.encode(Trace(v=VERSION + 1, to=A, kind="agent", name="scout")))
    assert odd.value.code == "shard.message"


async def test_where_the_other_shards_cannot_be_listed_it_is_said(tmp_path):
    _, b = await three(tmp_path / "links")
    link = link_of(tmp_path / "links", "b")

    def gone() -> tuple[str, ...]:
        raise OSError(5, "Input/output error")

    link._shards = gone
    b.walk.live.link = link
    [silent] = (await revoked(b)).not_asked
    assert silent.log == ""
    assert "cannot be listed" in silent.why


async def test_of_a_long_log_it_is_said_from_where_on_it_was_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(trace_effects, "ENTRIES_LOOKED_AT_MAX", 3)
    a, b = await three(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        for _ in range(3):
            await sent(b)
        stopped = await revoked(b)
    far = stopped.effects[1]
    assert (far.log, far.looked_from, far.entries) == (
        A,
        a.walk.recorder.ledger.size - 3,
        a.walk.recorder.ledger.size,
    )
    assert len(stopped.done) == 1


def test_what_cannot_be_undone_is_named_first_whichever_log_it_is_in():
    def done(log: str, index: int, undoing: Undoing) -> Done:
        return Done(
            log=log,
            index=index,
            action="x",
            agent=AgentId("scout"),
            capability="c",
            at=UnixMillis(index),
            status="succeeded",
            undoing=undoing,
        )

    many = [done("a", number, "read") for number in range(DONE_NAMED_MAX)]
    found = ordered([*many, done("b", 1, "not_reversible"), done("b", 2, "reversible")])
    assert len(found) == DONE_NAMED_MAX
    assert [(one.log, one.undoing) for one in found[:3]] == [
        ("b", "not_reversible"), ("b", "reversible"), ("a", "read")
    ]  # fmt: skip
    assert [one.index for one in found[2:4]] == [DONE_NAMED_MAX - 1, DONE_NAMED_MAX - 2]
