"""Rows of what gives authority, passes it on and uses it up."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from typing import TYPE_CHECKING, Any

from answerable.core.ledger.tags import Tag
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.delegation_chain import split_chain
from answerable.core.mandate.hop_token import read_hop
from answerable.errors import Refused
from answerable.sdk.delegation import Narrowing, Receiver, exchange_part, hand_on, token_for, token_to_act
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import create_key
from tests.seams.feature import Answers, Feature, Kept, names

if TYPE_CHECKING:
    from tests.seams.life import Life

SHORT_MS = 1_000
YOUNG_SECONDS = 200
"""Less than any chain acts."""
KILLED_MAX = 5
"""Actions that a server may have had in flight when it was killed."""


class Mandates(Feature):
    name = "mandate"
    claim = (
        "A mandate that is open lets its agent act; one that was closed, or has run out, never does again."
    )
    doors = ("mandate show {closed}", "/v1/mandates/{closed}", 0)
    asked = ("mandate show {closed}", "closed")
    holds = Answers(
        {
            "open": "ok",
            "closed": "mandate.closed",
            "run out": "mandate.expired",
            "listed": "open closed expired",
        }
    )
    tags = frozenset({Tag.MANDATE_ISSUED, Tag.MANDATE_CLOSED, Tag.CITED})
    tables = names("mandates mandates_issued citations citations_kept")
    nouns = names("mandate")

    def begin(self, life: Life, kept: Kept) -> None:
        kept |= {"open": life.mandate(), "closed": life.mandate(), "run out": life.mandate(ms=SHORT_MS)}
        kept["until"] = time.monotonic() + SHORT_MS / 1000

    def finish(self, life: Life, kept: Kept) -> None:
        life.told(f"/v1/mandates/{kept['closed']}/close", {})
        life.until(lambda: time.monotonic() > kept["until"], "the end of the short one")

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        mandates = [kept[name] for name in ("open", "closed", "run out")]
        states = [life.told(f"/v1/mandates/{one}")["state"] for one in mandates]
        said = (life.reads("worker", one) for one in mandates)
        return dict(zip(self.holds, (*said, " ".join(states)), strict=True))

    def write(self, life: Life, kept: Kept, number: int) -> object:
        mandate = life.mandate(name=kept.setdefault(f"written {number}", uuid.uuid4().hex))
        if number % 2:
            life.told(f"/v1/mandates/{mandate}/close", {})
        return mandate

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        name = kept[f"written {number}"]
        status, shown = life.asked("GET", f"/v1/mandates/{name}")
        there = status == 200
        closed = there and shown["state"] == "closed"
        assert said is None or closed == bool(number % 2)
        code = "mandate.closed" if closed else "ok" if there else "mandate.unknown"
        assert life.reads("worker", name) == code
        return there


class Hops(Feature):
    name = "delegation hop"
    claim = "What was handed on lets its receiver act, and one hop that was revoked lets nobody."
    doors = ("revoke --list", "/v1/revocations", 0)
    asked = ("revoke --list", "{hop}")
    holds = Answers({"handed on": "ok", "revoked": "refused", "without the chain": "mandate.other_agent"})
    tables = names("receivers tokens token_names status_lists")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate(
            delegability=Delegability(depth_max=2, width_max=3, to=("agent:helper",))
        )
        kept["chains"] = [asyncio.run(self.handed(life, kept["mandate"])) for _ in range(2)]
        kept |= {"at": life, "since": time.monotonic()}

    @staticmethod
    async def handed(life: Life, mandate: str) -> str:
        client, base = open_client(f"unix:{life.home.socket('gateway')}")
        async with client:
            root = await token_for(client, base, mandate=mandate, auth=life.key("worker"))
            receiver = Receiver(agent="helper", key=life.key("helper").public)
            part = hand_on(root, receiver, Narrowing(scopes=("bank.read",)), key=life.key("worker"))
            return await exchange_part(client, base, chain=part, auth=life.key("helper"))

    @staticmethod
    def acted(life: Life, kept: Kept, chain: str) -> str:
        """By a token to act with, once the chain is too old to act by itself."""

        async def renewed() -> str:
            client, base = open_client(f"unix:{kept['at'].home.socket('gateway')}")
            async with client:
                return await token_to_act(client, base, chain=chain, auth=life.key("helper"))

        try:
            is_young = time.monotonic() - kept["since"] < YOUNG_SECONDS
            code = life.reads("helper", kept["mandate"], chain=chain if is_young else asyncio.run(renewed()))
        except Refused:
            return "refused"
        return "ok" if code == "ok" else "refused"

    def finish(self, life: Life, kept: Kept) -> None:
        kept["hop"] = read_hop(split_chain(kept["chains"][1])[-1]).jti
        life.told("/v1/revocations", {"kind": "token", "name": kept["hop"], "reason": "no longer needed"})

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        good, revoked = kept["chains"]
        return {
            "handed on": self.acted(life, kept, good),
            "revoked": self.acted(life, kept, revoked),
            "without the chain": life.reads("helper", kept["mandate"]),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        return asyncio.run(self.handed(life, kept["mandate"]))

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        # Of a chain that nobody got there is nothing to be found.
        return said is not None and self.acted(life, kept, str(said)) == "ok"


class Budgets(Feature):
    name = "budget"
    claim = "What was spent of a budget stays spent, and what costs nothing still runs."
    doors = ("mandate show {mandate}", "/v1/mandates/{mandate}", 0)
    asked = ("mandate show {mandate}", "600 of 1000")
    holds = Answers(
        {"600 of the 400 that are left": "mandate.budget_spent", "nothing of it": "ok", "paid": "1"}
    )
    tables = names("budgets_used calls_used calls_counted")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate("spender", budgets=(("money:EUR", 1000),))
        kept["large"] = life.mandate("spender", budgets=(("money:EUR", 1_000_000),))

    def finish(self, life: Life, kept: Kept) -> None:
        assert life.pays("spender", kept["mandate"], "spent", 600).code == "ok"

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        return {
            "600 of the 400 that are left": life.pays("spender", kept["mandate"], "too much", 600).code,
            "nothing of it": life.reads("spender", kept["mandate"]),
            "paid": str(life.done("pay", account="A1", amount=600, to="spent")),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        said = life.pays("spender", kept["large"], f"budget {number}", 10)
        assert said.code == "ok", said
        return said.found["answerable/action"]

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        done = life.done("pay", account="A1", amount=10, to=f"budget {number}")
        assert done <= 1
        # What is not known to have failed stays reserved, so that never less is used than was paid.
        used = life.told(f"/v1/mandates/{kept['large']}")["budgets"]["money:EUR"]["used"]
        paid = sum(one["amount"] for one in life.lines() if str(one.get("to", "")).startswith("budget "))
        assert paid <= used <= paid + 10 * KILLED_MAX, (paid, used)
        return done == 1


class Prepared(Feature):
    name = "prepared object"
    claim = "What was prepared and shown runs once, byte for byte, and what waits goes on waiting."
    doors = ("approval show {approval of second}", "/v1/approvals/{approval of second}", 0)
    asked = ("approval show {approval of second} --json", '"state": "pending"')
    holds = Answers({"again": "prepared.used", "waits": "pending", "paid": "1"})
    tables = names("prepared")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate()
        for name in ("first", "second"):
            said = life.call("worker", kept["mandate"], "prepare", to=name)
            kept[name] = said.found["answerable/prepared"]["digest"]
            asked = life.call("worker", kept["mandate"], "execute", run=kept[name])
            assert asked.code == "pending", asked
            kept[f"approval of {name}"] = asked.approval
        life.answer("approve", kept["approval of first"], "chen")

    def finish(self, life: Life, kept: Kept) -> None:
        assert life.call("worker", kept["mandate"], "execute", run=kept["first"]).code == "ok"

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        executed = [one for one in life.lines() if one["tool"] == "execute" and "run-first" in one["run"]]
        return {
            "again": life.call("worker", kept["mandate"], "execute", run=kept["first"]).code,
            "waits": life.told(f"/v1/approvals/{kept['approval of second']}")["state"],
            "paid": str(len(executed)),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        said = life.call("worker", kept["mandate"], "prepare", to=f"written {number}")
        assert said.code == "ok", said
        return said.found["answerable/prepared"]["digest"]

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        return (
            said is not None and life.call("worker", kept["mandate"], "execute", run=said).code == "pending"
        )


class Leases(Feature):
    name = "lease"
    claim = "The credential of a task that goes on is good, and that of a task that ended is taken back at its target."
    doors = ("lease list", "/v1/leases", 0)
    asked = ("timeline {ended}", "was revoked")
    holds = Answers({"goes on": "ok", "ended": "mandate.closed", "listed": "issued", "taken back": "True"})
    tags = frozenset({Tag.LEASE})
    tables = names("leases warrants acknowledged inventory agent_uses use_days uses_read")
    nouns = names("lease secret credential broker")

    def begin(self, life: Life, kept: Kept) -> None:
        kept |= {"goes on": life.mandate(), "ended": life.mandate()}
        before = frozenset(life.login.live)
        assert self.case(life, kept["ended"]) == "ok"
        (kept["token"],) = life.login.live - before
        assert self.case(life, kept["goes on"]) == "ok"

    @staticmethod
    def case(life: Life, mandate: str) -> str:
        return life.call("worker", mandate, "read", server="cases", path="/cases/7/x").code

    def finish(self, life: Life, kept: Kept) -> None:
        life.told(f"/v1/mandates/{kept['ended']}/close", {})
        life.until(lambda: kept["token"] in life.login.ended, "the credential to be taken back")

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        said = [self.case(life, kept[name]) for name in ("goes on", "ended")]
        listed = [one["state"] for one in life.items("/v1/leases") if one["mandate"] == kept["goes on"]]
        return dict(
            zip(self.holds, (*said, " ".join(listed), str(kept["token"] in life.login.ended)), strict=True)
        )

    def write(self, life: Life, kept: Kept, number: int) -> object:
        code = self.case(life, mandate := life.mandate())
        assert code == "ok", code
        return mandate

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        """What a killed broker had given is taken back, and given anew to whoever goes on."""
        if said is None:
            return False
        life.until(
            lambda: len(life.login.live) <= len(leases_at(life, "cases")),
            "what nobody holds to be taken back",
        )
        return self.case(life, str(said)) == "ok"


def leases_at(life: Life, target: str) -> list[Any]:
    return [one for one in life.items("/v1/leases") if one["target"] == target]


class Instances(Feature):
    name = "instance and manifest"
    claim = (
        "What was attested acts under the name that it was given, and an instance that was ended never again."
    )
    doors = ("agent manifest show papered", "/v1/agents/papered/manifest", 0)
    asked = ("agent manifest show papered", "claude")
    holds = Answers({"attested": "ok", "ended": "proof.key", "manifest": "claude"})
    # An instance that a server saw run out has ended for good, whatever the clock says later: its process enrols again.
    aged = Answers({"attested": "proof.key"})
    tags = frozenset(
        {
            Tag.WORKLOAD_ENROLLED,
            Tag.WORKLOAD_ENDED,
            Tag.SVID_ISSUED,
            Tag.AUTHORITY_CHANGED,
            Tag.MANIFEST_REGISTERED,
        }
    )
    tables = names("instances join_tokens manifests trust_domain authorities federated sightings")
    nouns = names("agent trust")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate("scout")
        life.enrolled("scout")
        kept["below"] = life.enrolled("scout-2", parent="scout")
        assert life.reads("scout-2", kept["mandate"]) == "ok"
        life.registered_manifest("papered", "claude")

    def finish(self, life: Life, kept: Kept) -> None:
        life.told("/v1/instances/end", {"instance": kept["below"]})

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        return {
            "attested": life.reads("scout", kept["mandate"]),
            "ended": life.reads("scout-2", kept["mandate"]),
            "manifest": life.told("/v1/agents/papered/manifest")["manifest"]["model_name"],
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        create_key(life.root / f"written-{number}.jwk", seed=os.urandom(32))
        return life.enrolled(f"written-{number}", parent="scout")

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        there = life.reads(f"written-{number}", kept["mandate"]) == "ok"
        listed = [one["id"] for one in life.items("/v1/instances")]
        assert said is None or (said in listed) == there
        return there


class KeptPlans(Feature):
    name = "kept plan"
    claim = (
        "What was found out for an earlier call lets no later one through once its ground is gone, and what ends "
        "under one mandate ends under no other."
    )
    doors = ("mandate show {mandate}", "/v1/mandates/{mandate}", 0)
    asked = ("mandate show {mandate}", "{mandate}")
    holds = Answers({"ended": "held.mandate", "beside it": "ok", "alarms": "0"})

    def begin(self, life: Life, kept: Kept) -> None:
        kept |= {"mandate": life.mandate(), "beside": life.mandate()}
        # What is found out for the first call is kept for the second.
        assert [life.reads("worker", kept[name]) for name in ("mandate", "beside") * 2] == ["ok"] * 4

    def finish(self, life: Life, kept: Kept) -> None:
        self.hold(life, kept["mandate"])

    @staticmethod
    def hold(life: Life, mandate: str) -> str:
        placed = life.told(
            "/v1/holds", {"kind": "mandate", "name": mandate, "reason": "looks odd", "seconds": 0}
        )
        return str(placed["hold"]["id"])

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        found = (life.reads("worker", kept[name]) for name in ("mandate", "beside"))
        return dict(zip(self.holds, (*found, str(len(life.told("/v1/status")["alarms"]))), strict=True))

    def write(self, life: Life, kept: Kept, number: int) -> object:
        mandate = kept[f"written {number}"] = life.mandate()
        assert [life.reads("worker", mandate) for _ in range(2)] == ["ok"] * 2
        return self.hold(life, mandate)

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        name = kept.get(f"written {number}", "")
        found = [one["id"] for one in life.items("/v1/holds") if one["name"] == name]
        assert said is None or found == [said]
        assert not name or life.reads("worker", name) == ("held.mandate" if found else "ok")
        return bool(found)


ROWS = (Mandates(), Hops(), Budgets(), Prepared(), Leases(), Instances(), KeptPlans())
