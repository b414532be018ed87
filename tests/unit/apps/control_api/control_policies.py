"""Every operation of the control API about publishing policy sets, for the test that uses all there are."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.policy_sets.publication import Terms
from answerable.sdk.keyfile import load_key
from answerable.sdk.signing import signed_step

if TYPE_CHECKING:
    from tests.worlds.control import Product, World


RULE = {
    "apiVersion": "answerable/v1",
    "kind": "StopRule",
    "metadata": {"name": "denials"},
    "spec": {
        "watches": "denied_rate",
        "limit": 0,
        "within": "1h",
        "dryRun": True,
        "ownership": {
            "owner": "ada",
            "backupOwner": "bela",
            "approverGroup": "support-leads",
            "auditLevel": "full",
            "reviewDate": "2099-01-01",
        },
    },
}


async def use_rules(client: Any) -> None:
    """A stop rule that runs dry, asked what it would have held."""
    await client("apply_documents", {"documents": [RULE]})
    found = await client("simulate_rule", name="denials", since="0")
    assert (found["end"], found["partial"]) == (found["size"], False)
    assert (await client("simulate_rule", status=400, name="denials", since="soon"))[
        "code"
    ] == "request.query"
    assert (await client("simulate_rule", status=404, name="none"))["code"] == "stop_rule.unknown"


async def use_policies(client: Any, product: Product, world: World) -> None:
    """Every operation about policy sets: asked again, tried, proposed, published, and back."""
    await ask_again(client)
    await use_rules(client)
    before = await client("show_policies")
    assert sum(one["answered"] for one in (await client("show_oversight", since="0"))["approvers"]) > 0
    assert (await client("list_suggestions", approved_min="2", days="30"))["rules"] == []
    stats = await client("show_stats", since="0")
    assert sum(one["actions"] for one in stats["groups"]) > 0
    assert stats["policy_set"] == product.walk.policies.decision_point.policy_set
    main = (await client("show_document", kind="PolicySet", name="main"))["document"]
    changed = copy.deepcopy(main)
    changed["spec"]["policies"] += '\n@id("stop") forbid(principal, action, resource);\n'
    body = {"documents": [changed]}
    plan = await client("plan_policies", body)
    assert (plan["before"], [one["name"] for one in plan["changes"]]) == (before["documents"], ["main"])
    page = await client("simulate_policy", {**body, "since": "0"})
    assert page["asked"] >= page["changes"]["allow→deny"] > 0
    assert (await client("start_shadow", body))["asked"] == 0
    assert (await client("show_shadow"))["state"] == "following"
    assert (await client("stop_shadow", {}))["state"] == "stopped"

    def signed(person: str, terms: Terms) -> str:
        return signed_step(
            terms,
            by=PrincipalId(person),
            audience=before["audience"],
            at=UnixMillis(product.walk.clock.now()),
            key=load_key(world.key(person)),
        )

    async def proposed(comment: str) -> dict[str, Any]:
        terms = Terms(step="propose", before=plan["before"], after=plan["after"], comment=comment)
        made: dict[str, Any] = await client("propose_policy", {**body, "token": signed("ada", terms)})
        return made

    withdrawn, made = await proposed("first"), await proposed("second")
    await client("withdraw_proposal", {}, id=withdrawn["id"])
    assert (await client("list_proposals"))["items"] == [made]
    assert (await client("show_proposal", id=made["id"]))["documents"]["PolicySet/main"] == changed
    terms = Terms(step="publish", before=plan["before"], after=plan["after"], proposal=made["id"])
    await client("publish_policy", {"token": signed("bela", terms)}, id=made["id"])
    assert (await client("show_policies"))["policy_set"] == plan["policy_set"]
    (kept,) = (await client("list_policy_sets"))["items"]
    assert (await client("show_policy_set", name="previous"))["digest"] == kept["digest"] == plan["before"]
    terms = Terms(step="rollback", before=plan["after"], after=plan["before"])
    await client("rollback_policy", {"to": kept["digest"], "token": signed("bela", terms)})
    assert await client("show_policies") == before


async def ask_again(client: Any) -> None:
    """What was decided, asked again of the ledger, and what could have been."""
    replayed = await client("replay_decisions")
    assert replayed["counts"]["same"] >= 2
    assert not {"differs", "cannot_tell"} & replayed["counts"].keys()
    name = (await client("list_capabilities"))["items"][0]["name"]
    (told,) = (await client("tell_possible", agent="support-agent", action=name))["agents"]
    assert told["agent"] == "support-agent"
