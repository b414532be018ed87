"""What people ask of the control API about a deferred action."""

from __future__ import annotations

from typing import Any

from answerable.core.base64url import from_base64url_32
from answerable.core.identity.principal import PrincipalId, UnixMillis
from answerable.sdk.keyfile import load_key
from answerable.sdk.signing import signed_answer
from tests.control_channels import use_channels
from tests.control_world import Product, World, asked


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
    answered = await client("answer_approval", {"token": token}, id=deferred.id)
    assert [one["by"] for one in answered["answers"]] == ["bela"]
    refused = await client("review_glass", {"token": token}, status=403, id=deferred.id)
    assert refused["code"] == "review.not_owed"
    assert (await client("list_approvals", review="owed"))["items"] == []
