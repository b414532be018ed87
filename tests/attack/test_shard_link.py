"""What goes from one process of a deployment to another: at most once, whole, and between our own processes only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import msgspec
import pytest

from answerable.adapters.shard_socket import place
from answerable.adapters.shard_socket.messages import (
    failed_bytes,
)
from answerable.core.action.outcome import Outcome
from answerable.core.approval.approval import NOTHING_SHOWN
from answerable.core.ledger.answer import Answer
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken, Malformed, Refused, Unavailable, Unverified
from answerable.flows.walk.forward_action import forward_action
from answerable.flows.walk.list_capabilities import list_capabilities
from tests.worlds.link import BASE, LIMITS, A, door, link_of, sent, shard, two_shards
from tests.worlds.parts import to_govern, to_list

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BUDGET-07")]

GOVERNED = (Tag.INTENT, Tag.OUTCOME, Tag.INDETERMINATE, Tag.REFUSAL, Tag.APPROVAL_ASKED)


async def test_an_action_is_governed_recorded_and_performed_by_the_owner_of_its_mandate(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        answer = await sent(b)
    assert answer.outcome is not None
    assert (answer.outcome.status, answer.outcome.result, answer.log) == ("succeeded", {"ok": True}, A)
    [intent] = a.entries(Tag.INTENT)
    assert answer.intent is not None
    assert answer.receipt is not None
    assert (answer.intent.index, answer.intent.head) == (intent["index"], None)
    assert answer.receipt.head is not None
    assert A.encode() in answer.receipt.head.signed()
    assert len(a.upstream.effects) == 1
    assert not b.upstream.effects
    assert not b.entries(*GOVERNED)


async def test_what_is_of_this_shard_or_of_none_stays_here(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    a.walk.live.link = link_of(tmp_path / "links", "a")
    assert (await sent(a)).outcome is not None
    with pytest.raises(Refused) as told:
        await sent(b, mandate="m-9")
    assert told.value.code == "mandate.unknown"
    with pytest.raises(Refused) as told:
        await sent(b, agent="rover")
    assert told.value.code == "mandate.other_agent"
    assert len(b.entries(Tag.REFUSAL)) == 2, "what is not sent on is recorded here"


async def test_a_mandate_of_another_deployment_is_not_sent_anywhere(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    b.walk.live.link = link_of(tmp_path / "links", "a")
    with pytest.raises(Refused) as told:
        await sent(b)
    assert told.value.code == "mandate.other_shard"
    elsewhere = link_of(tmp_path / "links", "b")
    for origin in ("somebody.else/a", f"{BASE}/a/b", f"{BASE}/../a", f"{BASE}/heads", BASE, f"{BASE}/b"):
        assert not elsewhere.reaches(origin)
    assert elsewhere.reaches(A)
    action, caller = b.request("get_case", {"case": "4711"})
    with pytest.raises(Unavailable) as down:
        await elsewhere.forward("somebody.else/a", action, caller)
    assert (down.value.code, down.value.effect) == ("shard.refused", "none")
    assert not a.upstream.effects


async def test_refusals_and_waiting_approvals_come_back_with_where_they_are_recorded(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        with pytest.raises(Refused) as told:
            await sent(b, arguments={"case": "4712"})
        waiting = (await sent(b, "refund", {"case": "4711", "amount": 6000})).approval
    [refusal] = a.entries(Tag.REFUSAL)
    assert (told.value.code, told.value.entry_index, told.value.log) == (
        "mandate.caveat",
        refusal["index"],
        A,
    )
    assert "4712" in told.value.reasons[0]
    kept = a.walk.authority.approvals.find(waiting.id)
    assert kept is not None
    # What people are shown, and what the agent claims, stays where they are asked.
    assert waiting == replace(kept, names=(), shown=NOTHING_SHOWN, card=NOTHING_SHOWN, claimed="")
    assert not b.entries(*GOVERNED)


async def test_a_proof_over_another_message_is_not_sent_on(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    action, _ = b.request("get_case", {"case": "4711"})
    _, caller = b.request("get_case", {"case": "4711"})
    async with door(tmp_path / "links", "a", a):
        with pytest.raises(Unverified) as told:
            await forward_action(*to_govern(b.walk), action, caller)
    assert told.value.code == "proof.other_message"
    assert not a.entries(Tag.INTENT, Tag.REFUSAL)


async def test_what_is_handed_on_to_the_wrong_process_is_not_handed_on_again(tmp_path):
    """Two processes that each take the other for the owner do not send an action round in circles."""
    a, b = await two_shards(tmp_path / "links")
    c = shard("c", a)
    c.walk.live.link = link_of(tmp_path / "links", "c")
    async with door(tmp_path / "links", "a", a), door(tmp_path / "links", "c", c):
        action, caller = b.request("get_case", {"case": "4711"})
        with pytest.raises(Refused) as told:
            await b.walk.live.link.forward(f"{BASE}/c", action, caller)
    assert told.value.code == "mandate.other_shard"
    assert not a.upstream.effects


async def test_an_owner_that_is_down_means_that_nothing_happened(tmp_path):
    _, b = await two_shards(tmp_path / "links")
    with pytest.raises(Unavailable) as told:
        await sent(b)
    assert (told.value.code, told.value.effect) == ("shard.directory", "none")
    place.made_directory(tmp_path / "links")
    with pytest.raises(Unavailable) as told:
        await sent(b)
    assert (told.value.code, told.value.effect) == ("shard.down", "none")
    assert "not running" in told.value.message


class Impostor:
    """Takes connections in place of a door, and does as it is told with each. seen: messages that came whole."""

    def __init__(self, directory: Path, reply: bytes | None) -> None:
        self.directory, self.reply = directory, reply
        self.seen: list[bytes] = []
        self.connections = 0

    async def __call__(self, *, task_status) -> None:
        place.made_directory(self.directory)
        listener = await anyio.create_unix_listener(self.directory / "a.sock", mode=0o600)
        task_status.started()
        async with listener:
            await listener.serve(self._one)

    async def _one(self, stream) -> None:
        self.connections += 1
        async with stream:
            size = int.from_bytes(await stream.receive(4), "big")
            message = b""
            while len(message) < size:
                message += await stream.receive()
            self.seen.append(message)
            if self.reply is not None:
                await stream.send(len(self.reply).to_bytes(4, "big") + self.reply)


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"",
        b"\x00",
        msgspec.msgpack.encode({"type": "answered"}),
        failed_bytes(Malformed("x", code="y"))[:-1],
    ],
    ids=["nothing", "empty", "garbage", "half", "cut"],
)
async def test_an_owner_that_goes_away_after_taking_an_action_leaves_doubt_and_is_not_asked_again(
    tmp_path, reply
):
    _, b = await two_shards(tmp_path / "links")
    impostor = Impostor(tmp_path / "links", reply)
    async with anyio.create_task_group() as tasks:
        await tasks.start(impostor)
        with pytest.raises(Unavailable) as told:
            await sent(b)
        tasks.cancel_scope.cancel()
    assert (told.value.code, told.value.effect) == ("shard.lost", "unknown")
    assert (impostor.connections, len(impostor.seen)) == (1, 1)


async def test_an_answer_that_does_not_come_in_time_leaves_doubt_and_cancels_the_action(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    b.walk.live.link = link_of(tmp_path / "links", "b", replace(LIMITS, answer_seconds_max=0.2))
    a.upstream.after = lambda _: anyio.sleep_forever()
    async with door(tmp_path / "links", "a", a):
        with pytest.raises(Unavailable) as told:
            await sent(b)
        assert (told.value.code, told.value.effect) == ("shard.late", "unknown")
    # The door closes when the last action has ended.
    assert len(a.entries(Tag.INDETERMINATE)) == len(a.upstream.effects) == 1


async def test_a_caller_who_leaves_cancels_the_action_at_the_owner(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    begun = anyio.Event()

    async def hang(_: object) -> None:
        begun.set()
        await anyio.sleep_forever()

    a.upstream.after = hang
    async with door(tmp_path / "links", "a", a), anyio.create_task_group() as tasks:
        tasks.start_soon(sent, b)
        await begun.wait()
        tasks.cancel_scope.cancel()
    [intent] = a.entries(Tag.INTENT)
    assert a.entries(Tag.INDETERMINATE)[0]["intent"] == intent["index"]


async def test_an_owner_that_stops_lets_actions_under_way_end(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    begun, go_on = anyio.Event(), anyio.Event()
    found: list[Answer] = []

    async def wait(_: object) -> None:
        begun.set()
        await go_on.wait()

    async def act() -> None:
        found.append(await sent(b))

    a.upstream.after = wait
    async with anyio.create_task_group() as tasks, door(tmp_path / "links", "a", a):
        tasks.start_soon(act)
        await begun.wait()
        tasks.start_soon(_set_later, go_on)
    assert [answer.outcome.status for answer in found if answer.outcome] == ["succeeded"]
    assert not (tmp_path / "links" / "a.sock").exists()


async def _set_later(event: anyio.Event) -> None:
    await anyio.sleep(0.05)
    event.set()


async def test_progress_is_passed_back_and_a_caller_who_cannot_be_told_is_told_the_end(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    told: list[tuple[float, float | None, str | None]] = []

    async def govern(request, caller, *, progress=None):
        await progress(1, 3, "one")
        await progress(2.5, None, None)
        return Answer(action_id="x", outcome=Outcome(status="succeeded"))

    async def hear(done, total, text):
        told.append((done, total, text))
        raise ConnectionError

    action, caller = b.request("get_case", {"case": "4711"})
    async with door(tmp_path / "links", "a", a, govern=govern):
        answer = await b.walk.live.link.forward(A, action, caller, progress=hear)
    assert told == [(1, 3, "one"), (2.5, None, None)]
    assert answer.action_id == "x"


async def test_more_actions_than_a_process_takes_are_turned_away_undone(tmp_path):
    a, b = await two_shards(tmp_path / "links", calls_max=100)
    go_on = anyio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    a.upstream.after = wait
    ends: list[str] = []

    async def act() -> None:
        try:
            await sent(b)
            ends.append("done")
        except Unavailable as turned:
            ends.append(f"{turned.code} {turned.effect}")
        if len(ends) == 6:
            go_on.set()

    limits = replace(LIMITS, actions_max=4)
    async with door(tmp_path / "links", "a", a, limits=limits), anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(act)
    assert sorted(ends) == ["done"] * 4 + ["shard.refused none"] * 6
    assert len(a.upstream.effects) == 4


@pytest.mark.parametrize(
    ("error", "kind", "effect"),
    [
        (Broken("a", code="warrant.spent"), Unavailable, "unknown"),
        (Unavailable("a", code="ledger.full", port="ledger"), Unavailable, "none"),
        (Unavailable("a", code="ledger.poisoned", port="ledger", effect="unknown"), Unavailable, "unknown"),
        (ValueError("a bug"), Unavailable, "unknown"),
        (TimeoutError(), Unavailable, "unknown"),
        (Unverified("a", code="proof.other_message", step="proof"), Unverified, "none"),
        (Malformed("a", code="json.size"), Malformed, "none"),
    ],
)
async def test_what_goes_wrong_over_there_is_told_here_as_what_it_is(tmp_path, error, kind, effect):
    a, b = await two_shards(tmp_path / "links")

    async def govern(request, caller, *, progress=None):
        raise error

    async with door(tmp_path / "links", "a", a, govern=govern):
        with pytest.raises(kind) as told:
            await sent(b)
    assert told.value.effect == effect


async def test_an_answer_that_cannot_be_passed_on_leaves_doubt(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    for result in ({"text": "x" * LIMITS.message_bytes_max}, {"huge": 2**70}):
        a.upstream.answer = lambda _, result=result: Outcome(status="succeeded", result=result)
        async with door(tmp_path / "links", "a", a):
            with pytest.raises(Unavailable) as told:
                await sent(b)
        assert told.value.effect == "unknown"
    assert len(a.entries(Tag.OUTCOME)) == 2


async def test_what_could_be_used_elsewhere_is_listed_here_too(tmp_path):
    a, b = await two_shards(tmp_path / "links")
    _, caller = b.request("get_case", {"case": "4711"})
    assert list_capabilities(*to_list(b.walk), caller, "m-1", "crm") == list_capabilities(
        *to_list(a.walk), caller, "m-1", "crm"
    )
