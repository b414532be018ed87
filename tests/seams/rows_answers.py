"""Rows of what people are asked, answer, hand over, and change together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.core.ledger.tags import Tag
from answerable.testing.samples import document
from answerable.testing.soft_passkey import SoftPasskey
from tests.seams.documents import LOUD, OWNERSHIP, SPARE_TOOLS, agent, person, policy_set
from tests.seams.feature import Answers, Feature, Kept, names

if TYPE_CHECKING:
    from tests.seams.life import Life

LARGE = 5_000
REASON = "the customer is on the phone and nobody else is awake"


def asked(life: Life, kept: Kept, to: str) -> str:
    """A payment that waits for people. The approval's id."""
    said = life.pays("worker", kept["mandate"], to, LARGE)
    assert said.code == "pending", said
    return said.approval


def paid(life: Life, to: str) -> int:
    return life.done("pay", account="A1", amount=LARGE, to=to)


def state(life: Life, approval: str) -> str:
    return str(life.told(f"/v1/approvals/{approval}")["state"])


class Approvals(Feature):
    name = "approval"
    claim = "A yes lets one action run once; what was used, denied or is void lets none, and what waits still waits."
    doors = ("approval show {used}", "/v1/approvals/{used}", 0)
    asked = ("approval show {used} --json", '"state": "used"')
    holds = Answers({
        "waits": "pending", "ready": "approved", "used": "used", "denied": "denied", "void": "denied",
        "paid": "1", "denied again": "approval.denied", "paid of the rest": "0",
    })  # fmt: skip
    tags = frozenset({Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.APPROVAL_VOID, Tag.CANARY_TOLD})
    tables = names(
        "approvals approvals_shown nonces looks said channels deliveries push_devices events_waiting"
    )
    nouns = names("approval channel")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate()
        for name in ("waits", "ready", "used", "denied"):
            kept[name] = asked(life, kept, name)
        kept["ended"] = life.mandate()
        kept["void"] = life.pays("worker", kept["ended"], "void", LARGE).approval
        for name in ("ready", "used", "void"):
            life.answer("approve", kept[name], "chen")

    def finish(self, life: Life, kept: Kept) -> None:
        assert life.pays("worker", kept["mandate"], "used", LARGE).code == "ok"
        life.answer("deny", kept["denied"], "dora")
        life.told("/v1/revocations", {"kind": "mandate", "name": kept["ended"], "reason": "nobody needs it"})

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        found = {name: state(life, kept[name]) for name in ("waits", "ready", "used", "denied", "void")}
        return found | {
            "paid": str(paid(life, "used")),
            "denied again": life.pays("worker", kept["mandate"], "denied", LARGE).code,
            "paid of the rest": str(sum(paid(life, to) for to in ("waits", "ready", "denied", "void"))),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        return asked(life, kept, f"written {number}")

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        # The same call again finds the question that there is, and asks none beside it.
        again = asked(life, kept, f"written {number}")
        listed = life.items("/v1/approvals?state=pending")
        alike = [one for one in listed if f'"to":"written {number}"' in one["action"]]
        assert said is None or again == said
        assert paid(life, f"written {number}") == 0
        assert len(alike) <= 1, alike
        return state(life, again) == "pending"


class Duties(Feature):
    name = "duty and deputy"
    claim = (
        "Who stands in for another answers in their place while that lasts, and what they answered counts."
    )
    doors = ("duty list", "/v1/duty-delegations", 0)
    asked = ("duty list", "emil")
    holds = Answers({"answered by the deputy": "used", "paid": "1", "stands in": "chen→emil"})
    tags = frozenset({Tag.DUTY, Tag.APPROVAL_ESCALATED})
    tables = names("duty_delegations duty_marks")
    nouns = names("duty")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate()
        for name in ("chen", "dora"):
            more = ("finance", "--to", "emil", "--until", "3h", "--reason", "on a train")
            life.as_person(name, "duty", "delegate", *more)
        kept["approval"] = asked(life, kept, "deputy")

    def finish(self, life: Life, kept: Kept) -> None:
        (ended,) = [one["id"] for one in life.items("/v1/duty-delegations") if one["of"] == "dora"]
        life.answer("approve", kept["approval"], "emil")
        life.told(f"/v1/duty-delegations/{ended}/end", {})
        assert life.pays("worker", kept["mandate"], "deputy", LARGE).code == "ok"

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        counting = [one for one in life.items("/v1/duty-delegations") if one["counts"] and one["of"] != "fay"]
        return {
            "answered by the deputy": state(life, kept["approval"]),
            "paid": str(paid(life, "deputy")),
            "stands in": " ".join(f"{one['of']}→{one['to']}" for one in counting),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        more = ("finance", "--to", "emil", "--until", "2h", "--reason", f"written {number}")
        life.as_person("fay", "duty", "delegate", *more, key="fay-new")
        return True

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        found = [one for one in life.items("/v1/duty-delegations") if one["reason"] == f"written {number}"]
        assert len(found) <= 1
        return bool(found)


class Glasses(Feature):
    name = "break-glass"
    claim = (
        "A broken glass lets its action run once, and the review that it owes is owed until somebody gave it."
    )
    doors = ("approval list --reviews", "/v1/approvals?review=owed", 0)
    asked = ("approval list --reviews", "{owed}")
    holds = Answers({"owed": "owed used 1", "reviewed": "justified used 1"})
    tags = frozenset({Tag.GLASS_REVIEWED})

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate()
        for name in self.holds:
            kept[name] = asked(life, kept, f"glass {name}")
            life.as_person("olga", "approval", "break-glass", kept[name], "--reason", REASON)

    def finish(self, life: Life, kept: Kept) -> None:
        for name in self.holds:
            assert life.pays("worker", kept["mandate"], f"glass {name}", LARGE).code == "ok"
        found = ("--verdict", "justified", "--comment", "nobody else was there")
        life.as_person("chen", "approval", "review", kept["reviewed"], *found)

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        def told(name: str) -> str:
            one = life.told(f"/v1/approvals/{kept[name]}")
            review = one["review"]
            return f"{review.get('verdict') or review['state']} {one['state']} {paid(life, f'glass {name}')}"

        return {name: told(name) for name in self.holds}

    def write(self, life: Life, kept: Kept, number: int) -> object:
        approval = asked(life, kept, f"glass written {number}")
        kept[f"written {number}"] = approval
        life.as_person("olga", "approval", "break-glass", approval, "--reason", REASON)
        return approval

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        if f"written {number}" not in kept:
            return False
        there = state(life, kept[f"written {number}"]) == "approved"
        code = life.pays("worker", kept["mandate"], f"glass written {number}", LARGE).code
        assert code == ("ok" if there else "pending")
        assert paid(life, f"glass written {number}") == there
        return there


class Pins(Feature):
    name = "tool pin"
    claim = "A tool runs as its owner approved it, and one that nobody approved does not run."
    doors = ("tool list bank", "/v1/servers/bank/tools", 5)
    asked = ("tool list bank --json", '"name": "tell"')
    holds = Answers({"approved": "ok", "not approved": "tool.not_pinned", "wiped": "0"})
    tags = frozenset({Tag.TOOL_PINNED})
    tables = names("tool_pins")
    nouns = names("tool server mcp")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate()

    def finish(self, life: Life, kept: Kept) -> None:
        life.approve_tool("tell")

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        return {
            "approved": life.call("worker", kept["mandate"], "tell", account="A1").code,
            "not approved": life.call("worker", kept["mandate"], "wipe", account="A1").code,
            "wiped": str(life.done("wipe", account="A1")),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        if number < SPARE_TOOLS:
            life.approve_tool(f"spare{number}")
        return number

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        if number >= SPARE_TOOLS:
            return True
        code = life.call("worker", kept["mandate"], f"spare{number}", account="A1").code
        assert code in ("ok", "tool.not_pinned")
        return code == "ok"


class Policies(Feature):
    name = "policy publication"
    claim = "A policy that two people published decides from then on, and what one person proposed does not."
    doors = ("policy proposals", "/v1/policy/proposals", 0)
    asked = ("policy proposals", "ada")
    holds = Answers({"forbidden": "never-loud", "proposed": "1", "let": "ok", "shouted": "0"})
    tags = frozenset({Tag.POLICY_PROPOSED, Tag.POLICY_WITHDRAWN, Tag.POLICY_CHANGE})
    tables = names("policy_records")
    nouns = names("policy decision")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate()

    def finish(self, life: Life, kept: Kept) -> None:
        life.publish(policy_set("quiet", LOUD))
        life.propose(policy_set("silent", LOUD.replace("LOUD", "soft").replace("never-loud", "never-soft")))

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        def noted(text: str) -> str:
            return life.call("worker", kept["mandate"], "note", account="A1", text=text).code

        return {
            "forbidden": noted("LOUD"),
            "proposed": str(len([one for one in life.items("/v1/policy/proposals") if not one["comment"]])),
            "let": noted("soft"),
            "shouted": str(life.done("note", account="A1", text="LOUD")),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        life.propose(
            policy_set(f"written-{number}", LOUD.replace("never-loud", f"never-{number}")),
            comment=f"written {number}",
        )
        return number

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        found = [one for one in life.items("/v1/policy/proposals") if one["comment"] == f"written {number}"]
        assert len(found) <= 1
        for one in found:
            life.told(f"/v1/policy/proposals/{one['id']}")
        return bool(found)


class Registry(Feature):
    name = "registry change"
    claim = "An agent that was suspended does not act, and who left a group is not in it."
    doors = ("registry show Principal finn", "/v1/registry/Principal/finn", 0)
    asked = ("registry show Principal finn", "groups: []")
    holds = Answers({"suspended": "agent.inactive", "groups": "", "inactive": "suspended"})
    tags = frozenset({Tag.REGISTRY_CHANGE})
    tables = names("documents last_change")
    nouns = names("apply diff validate registry capability")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate("paused")
        assert life.reads("paused", kept["mandate"]) == "ok"

    def finish(self, life: Life, kept: Kept) -> None:
        life.apply(
            agent("paused", life.public("paused"), status="suspended"),
            person("finn", life.public("finn"), ()),
        )

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        spec = life.told("/v1/registry/Principal/finn")["document"]["spec"]
        return {
            "suspended": life.reads("paused", kept["mandate"]),
            "groups": " ".join(spec.get("groups", ())),
            "inactive": next(one["status"] for one in life.items("/v1/agents") if one["name"] == "paused"),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        life.apply(document("UseCase", f"written-{number}", {"purpose": "Be there", "ownership": OWNERSHIP}))
        return number

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        return life.asked("GET", f"/v1/registry/UseCase/written-{number}")[0] == 200


class Keys(Feature):
    name = "passkey and key change"
    claim = "A passkey that stands signs in and one that was removed does not; a person signs with the key of today."
    doors = ("person passkeys", "/v1/passkeys", 0)
    asked = ("person passkeys", "bela's phone")
    holds = Answers({"stands": "200", "removed": "401", "old key": "key", "listed": "bela's phone"})
    tags = frozenset({Tag.PASSKEY, Tag.PASSKEY_REMOVED, Tag.PEOPLES_KEYS})
    tables = names("passkeys invitations")
    nouns = names("person key")

    def begin(self, life: Life, kept: Kept) -> None:
        for name in ("bela", "ada"):
            life.brought_in(name, device(life, name))
        kept["mandate"] = life.mandate()
        kept |= {"at": life, "approval": asked(life, kept, "old key")}

    def finish(self, life: Life, kept: Kept) -> None:
        (passkey,) = [one["id"] for one in life.items("/v1/passkeys") if one["person"] == "ada"]
        life.told(f"/v1/passkeys/{passkey}/remove", {})
        life.apply(person("fay", life.public("fay-new"), ("finance",)))

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        # An approval is answered in the process that asked.
        said = kept["at"].answer("approve", kept["approval"], "fay", code=3)
        return {
            "stands": str(life.signs_in(device(life, "bela"))),
            "removed": str(life.signs_in(device(life, "ada"))),
            "old key": "key" if "key" in said else said,
            "listed": " ".join(
                one["label"] for one in life.items("/v1/passkeys") if one["person"] in ("ada", "bela")
            ),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        life.brought_in("olga", device(life, f"written {number}"))
        return number

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        return life.signs_in(device(life, f"written {number}")) == 200


def device(life: Life, name: str) -> SoftPasskey:
    """Its phone, which counts nothing, so that it is the same one each time."""
    return SoftPasskey(seed=name, origin=life.console, rp_id="localhost", counts=False)


ROWS: tuple[Any, ...] = (Approvals(), Duties(), Glasses(), Pins(), Policies(), Registry(), Keys())
