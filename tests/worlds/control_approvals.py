"""What people ask of the control API about a deferred action."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from answerable.core.approval.batch import batch_of
from answerable.core.base64url import from_base64url_32
from answerable.core.decision.facts import Requirement
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.mandate.mandate import MandateId
from answerable.sdk.keyfile import load_key
from answerable.sdk.signing import signed_answer, signed_batch
from tests.worlds.alike import payment
from tests.worlds.control import Product, World, asked

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval


from answerable.adapters.sqlite import SqliteDeliveryRegister
from answerable.core.approval.approval import Approval
from answerable.core.approval.route import Route
from answerable.flows.approval.notify_people import notify_people
from answerable.flows.state.reach_desk import NotificationState
from answerable.ports.message_channel import Sent
from answerable.testing.registers import fresh
from tests.worlds.channel import LoudChannel


async def use_channels(client: Any, product: Product, deferred: Approval) -> None:
    """Every operation about channels, without any and with one that works, then does not."""
    assert (await client("list_channels"))["items"] == []
    assert (await client("list_told", id=deferred.id))["items"] == []
    assert (await client("list_told", status=404, id="nothing"))["code"] == "approval.unknown"
    refused = await client("test_channel", {}, status=404, name="email")
    assert refused["code"] == "channel.unknown"
    channel = LoudChannel()
    desk = NotificationState(
        register=fresh(SqliteDeliveryRegister),
        channels={"email": channel, "webhook:ops": channel},
        addresses={"email": lambda name: () if name == "alice" else (f"{name}@example.com",)},
        routes=(Route(group="*", channel="email"), Route(group="*", channel="webhook:ops", place="ops")),
    )
    product.walk.asking.reach = desk
    for body, name in (({}, "email"), ({"person": "alice"}, "email"), ({"person": "nobody"}, "email")):
        assert (await client("test_channel", body, status=403, name=name))["code"] == "channel.receiver"
    tested = await client("test_channel", {"person": "bela"}, name="email")
    assert tested == {"state": "taken", "why": ""}
    await client("test_channel", {}, name="webhook:ops")
    assert channel.kinds() == [("bela@example.com", "test"), ("ops", "test")]
    channel.answers = [Sent(state="later", why="greylisted")] * 9
    await notify_people(
        product.walk.recorder.ledger,
        product.walk.authority,
        product.walk.asking,
        product.walk.live.link,
        product.walk.entropy,
        "email",
    )
    told = (await client("list_told", id=deferred.id))["items"]
    assert {(one["to"], one["as"], one["told"], one["error"]) for one in told} == {
        (one["to"], "person", "nothing", "greylisted") for one in told
    }
    assert told
    channel.answers = [Sent(state="down", why="gone")]
    await notify_people(
        product.walk.recorder.ledger,
        product.walk.authority,
        product.walk.asking,
        product.walk.live.link,
        product.walk.entropy,
        "webhook:ops",
    )
    mail, hook = (await client("list_channels"))["items"]
    assert (mail["name"], mail["up"], mail["waiting"]) == ("email", True, len(told))
    assert (hook["up"], hook["error"], hook["routes"]) == (False, "gone", ["* to ops"])
    product.walk.asking.reach = None


async def use_approvals(client: Any, product: Product, world: World, mandate: str) -> None:
    """Every operation about approvals: one is looked at, opened and answered."""
    deferred = (await asked(product, "case_delete", "4711", mandate)).approval
    assert deferred is not None
    (waiting,) = (await client("list_approvals", state="pending"))["items"]
    assert waiting == await client("show_approval", id=deferred.id)
    await use_channels(client, product, deferred)
    opened = await client("open_approval", {}, id=deferred.id)
    assert (opened["action"], opened["rendering"]) == (deferred.shown.hex, deferred.card.hex)
    token = signed_answer(
        deferred,
        nonce=from_base64url_32(opened["nonce"]) or b"",
        by=PrincipalId("bela"),
        verdict="approve",
        audience=waiting["audience"],
        at=UnixMillis(product.walk.clock.now()),
        key=load_key(world.key("bela")),
    )
    answered = await client(
        "answer_approval", {"token": token, "typed": waiting["name_to_type"]}, id=deferred.id
    )
    assert [one["by"] for one in answered["answers"]] == ["bela"]
    refused = await client("review_glass", {"token": token}, status=403, id=deferred.id)
    assert refused["code"] == "review.not_owed"
    assert (await client("list_approvals", review="owed"))["items"] == []


async def use_groups(client: Any, product: Product, mandate: str, world: World) -> None:
    """Every operation about those that are alike: three wait, are looked at, and one signature says no to them."""
    waiting = alike_waiting(product, mandate, 3)
    (summary,) = (await client("list_approval_groups"))["items"]
    group = await client("show_approval_group", id=summary["id"])
    assert (summary["alike_count"], summary["odd_count"]) == (len(group["alike"]), 0)
    listed = [one["approval"] for one in group["alike"]]
    assert {one["id"] for one in listed} == {one.id for one in waiting}
    seen = {one.id: one.card.hex for one in waiting}
    opened = await client("open_approval_batch", {"seen": seen, "verdict": "deny"})
    assert (sorted(opened["ids"]), opened["left_out"]) == (sorted(seen), {})
    batch = batch_of(one for one in waiting)
    assert batch.root.hex() == opened["root"]
    token = signed_batch(
        batch,
        nonce=from_base64url_32(opened["nonce"]) or b"",
        by=PrincipalId("bela"),
        verdict="deny",
        audience=listed[0]["audience"],
        at=UnixMillis(product.walk.clock.now()),
        key=load_key(world.key("bela")),
    )
    after = await client("answer_approval_batch", {"ids": opened["ids"], "token": token})
    assert {one["state"] for one in after["answered"]} == {"denied"}


def alike_waiting(
    product: Product, mandate: str, count: int, *, first: int = 0, **odd: str
) -> list[Approval]:
    """So many payments wait for a support lead; odd: by `n7`, who is paid there instead."""
    now = product.walk.clock.now()
    waiting = [
        replace(
            payment(number, **({"payee": odd[f"n{number}"]} if f"n{number}" in odd else {})),
            mandate=MandateId(mandate),
            capability="crm.read",
            requirements=(Requirement(group="support-leads", count=1),),
            created_at=now,
            expires_at=UnixMillis(now + 600_000),
        )
        for number in range(first, first + count)
    ]
    for one in waiting:
        product.walk.authority.approvals.add(one)
    return waiting
