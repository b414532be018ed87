"""Every operation about duty, used once over a real product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.adapters.sqlite import SqliteDutyRegister
from answerable.core.approval.deputy_statement import DutyTerms, with_id
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.sdk.keyfile import load_key
from answerable.sdk.signing import signed_duty
from answerable.testing.registers import fresh
from answerable.testing.samples import document
from tests.worlds.control import ORIGIN

if TYPE_CHECKING:
    from tests.worlds.control import Product, World


async def use_duties(client: Any, product: Product, world: World) -> None:
    """Put a group on call, look at it, and let one stand in for another."""
    walk = product.walk
    walk.asking.duties.register = fresh(SqliteDutyRegister)
    (group,) = walk.authority.registry.current.principals[PrincipalId("bela")].groups[:1]
    spec = {"group": group, "timeZone": "UTC", "shifts": [{"people": ["bela"], "days": ["mon"]}]}
    await client("apply_documents", {"documents": [document("Duty", group, spec)]})
    (duty,) = (await client("list_duties", at="2026-11-30T12:00+00:00"))["items"]
    assert (duty["first"], duty["covered"], duty["time_zone"]) == (["bela"], True, "UTC")
    assert (await client("list_duties", status=400, at="yesterday"))["code"] == "request.query"
    gaps = (await client("list_duty_gaps", days="14"))["items"]
    assert 2 <= len(gaps) <= 3
    assert gaps[0]["group"] == group
    await client("list_duty_gaps", status=400, days="99")
    approvals = (await client("list_approvals"))["items"]
    answered = sum(bool(one["answers"]) for one in approvals)
    approval = approvals[0]
    route = await client("show_route", id=approval["id"])
    assert (route["approval"], route["next_at"]) == (approval["id"], "")
    health = await client("show_queue_health")
    assert (health["asked"], health["seen"], health["expired_unseen"]) == (len(approvals), answered, 0)
    now = UnixMillis(walk.clock.now())
    terms = DutyTerms(
        of=PrincipalId("bela"),
        audience=ORIGIN,
        id="",
        group=group,
        to=PrincipalId("ada"),
        since=now,
        until=UnixMillis(now + 60_000),
        reason="on a train",
        at=now,
    )
    token = signed_duty(with_id(terms), key=load_key(world.key("bela")))
    given = await client("delegate_duty", {"token": token})
    assert (given["of"], given["to"], given["counts"], given["strength"]) == ("bela", "ada", True, "any")
    assert (await client("list_duty_delegations"))["items"] == [given]
    ended = await client("end_duty_delegation", {}, id=given["id"])
    assert (ended["counts"], ended["ended"]) == (False, True)
    assert (await client("list_duty_delegations"))["items"] == []
