"""Rows of what ends authority, and of what tells of it all."""

from __future__ import annotations

import json
import os
import time
from base64 import b64decode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from answerable.core.incident.incident_statement import incident_claims
from answerable.core.ledger.tags import Tag
from answerable.sdk.signing import signed_incident
from tests.seams.documents import TRAP
from tests.seams.feature import Answers, Feature, Kept, names
from tests.seams.home import REFUSALS_MAX

if TYPE_CHECKING:
    from pathlib import Path

    from tests.seams.life import Life
    from tests.seams.said import Said

SINCE_MS = 1_000_000


class Holds(Feature):
    name = "hold and lift"
    claim = "What is held does not act, and what two people let go on does."
    doors = ("hold show {held}", "/v1/holds/{held}", 0)
    asked = ("hold show {held} --json", '"state": "in_force"')
    holds = Answers({"held": "held.agent", "lifted": "ok", "listed": "in_force lifted"})
    tags = frozenset({Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT, Tag.EVENT_STREAM})
    tables = names("holds event_streams events_read")
    nouns = names("stop panic hold streams")

    def begin(self, life: Life, kept: Kept) -> None:
        for name in ("held", "lifted"):
            kept[f"mandate of {name}"] = life.mandate(name)
        kept["lifted"] = life.held("lifted")

    def finish(self, life: Life, kept: Kept) -> None:
        kept["held"] = life.held("held")
        life.lift(kept["lifted"])

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        found = {name: life.reads(name, kept[f"mandate of {name}"]) for name in ("held", "lifted")}
        states = [life.told(f"/v1/holds/{kept[name]}")["state"] for name in ("held", "lifted")]
        return found | {"listed": " ".join(states)}

    def write(self, life: Life, kept: Kept, number: int) -> object:
        return life.held(f"written-{number}")

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        found = [one for one in life.items("/v1/holds") if one["name"] == f"written-{number}"]
        assert said is None or [one["id"] for one in found] == [said]
        assert all(one["state"] == "in_force" for one in found)
        return bool(found)


class Revocations(Feature):
    name = "revocation"
    claim = "What was revoked has ended for good."
    doors = ("revoke --list", "/v1/revocations", 0)
    asked = ("revoke --list", "gone")
    holds = Answers({"agent": "revoked.agent", "mandate": "revoked.mandate", "listed": "2"})
    tags = frozenset({Tag.REVOKED})
    tables = names("revocations")
    nouns = names("revoke")

    def begin(self, life: Life, kept: Kept) -> None:
        kept |= {"of agent": life.mandate("gone"), "mandate": life.mandate()}
        assert life.reads("gone", kept["of agent"]) == "ok"

    def finish(self, life: Life, kept: Kept) -> None:
        for kind, name in (("agent", "gone"), ("mandate", kept["mandate"])):
            life.told("/v1/revocations", {"kind": kind, "name": name, "reason": "stolen"})

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        listed = [one["name"] for one in life.items("/v1/revocations")]
        return {
            "agent": life.reads("gone", kept["of agent"]),
            "mandate": life.reads("worker", kept["mandate"]),
            "listed": str(sum(name in listed for name in ("gone", kept["mandate"]))),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        kept[f"written {number}"] = life.mandate()
        name = {"kind": "mandate", "name": kept[f"written {number}"], "reason": "stolen"}
        return life.told("/v1/revocations", name)

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        name = kept.get(f"written {number}", "")
        there = name in [one["name"] for one in life.items("/v1/revocations")]
        assert not name or (life.reads("worker", name) == "revoked.mandate") == there
        return there


class Rules(Feature):
    name = "stop rule and quota"
    claim = (
        "What did too much, by a rule or by the quota of refusals, stands still until people let it go on."
    )
    doors = ("hold list --all", "/v1/holds", 0)
    asked = ("hold list", "rule:trap")
    holds = Answers({
        "held by rule": "held.mandate", "touched": "0", "listed": "in_force",
        "held by quota": "held", "listed by quota": "in_force", "another mandate": "ok",
    })  # fmt: skip
    tags = frozenset({Tag.RULE_FIRED, Tag.REFUSALS_COUNTED})
    nouns = names("stop-rule")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate("loud")
        assert life.reads("loud", kept["mandate"]) == "ok"
        kept |= {"looped": life.mandate("looper"), "another": life.mandate("looper")}

    def finish(self, life: Life, kept: Kept) -> None:
        life.call("loud", kept["mandate"], "note", account="A1", text=TRAP)
        for _ in range(REFUSALS_MAX + 1):
            life.call("looper", kept["looped"], "wipe", account="A1")
        life.until(
            lambda: kept["looped"] in [one["name"] for one in life.items("/v1/holds")],
            "the hold of the quota",
        )

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        holds, by_quota = life.items("/v1/holds"), life.reads("looper", kept["looped"])
        rule, quota = (
            " ".join(one["state"] for one in holds if one["name"] == kept[name])
            for name in ("mandate", "looped")
        )
        return {
            "held by rule": life.reads("loud", kept["mandate"]),
            "touched": str(life.done("note", account="A1", text=TRAP)),
            "listed": rule,
            # By the count of this process, or by the hold that every process reads.
            "held by quota": "held" if by_quota in ("agent.held", "held.mandate") else by_quota,
            "listed by quota": quota,
            "another mandate": life.reads("looper", kept["another"]),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        kept[f"written {number}"] = life.mandate("loud")
        said = life.call("loud", kept[f"written {number}"], "note", account="A1", text=TRAP)
        assert said.code != "ok", said
        return said.code

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        name = kept.get(f"written {number}", "")
        there = name in [one["name"] for one in life.items("/v1/holds")]
        assert not name or (life.reads("loud", name) == "held.mandate") == there
        assert not life.done("note", account="A1", text=TRAP)
        return there


class Refusals(Feature):
    name = "refusal"
    claim = "Who was refused, what and why is an entry, and a stranger gets nothing."
    doors = ("timeline {mandate}", "/v1/timeline/{mandate}", 0)
    asked = ("timeline {mandate}", "is not approved yet")
    holds = Answers({
        "entry": "tool.not_pinned", "stranger": "proof.key", "told": "refused",
        "told of the door": "True", "seen": "refused at door mcp: proof.key",
    })  # fmt: skip
    tags = frozenset({Tag.REFUSAL, Tag.DOOR_REFUSAL})

    def begin(self, life: Life, kept: Kept) -> None:
        kept |= {"at": life, "mandate": life.mandate(), "other": life.mandate("asker")}

    def finish(self, life: Life, kept: Kept) -> None:
        said = life.call("worker", kept["mandate"], "wipe", account="A2")
        kept["entry"] = said.found["entry"]
        assert life.reads("stranger", kept["mandate"]) == "proof.key"
        # Nobody's refusal waits for its entry.
        life.until(lambda: self.at_door(life)["seen"], "word of the stranger")

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        # A number is that of an entry in the log of the process that wrote it.
        entry = kept["at"].told(f"/v1/ledger/entries/{kept['entry']}")
        story = life.told(f"/v1/timeline/{kept['mandate']}")
        return {
            "entry": entry["leaf"]["code"],
            "stranger": life.reads("stranger", kept["mandate"]),
            "told": "refused" if any(one["kind"] == "refusal" for one in story["lines"]) else str(story),
            **self.at_door(life),
        }

    @staticmethod
    def at_door(life: Life) -> dict[str, str]:
        """What is told of a key that no agent has."""
        key = life.key("stranger").public.thumbprint
        of_key = life.told(f"/v1/timeline/{key}")["lines"]
        seen = [one["how"] for one in life.items("/v1/seen") if key in one["name"]]
        return {"told of the door": str("proof.key" in str(of_key)), "seen": " ".join(seen)}

    def write(self, life: Life, kept: Kept, number: int) -> object:
        return life.call("asker", kept["other"], "wipe", account=f"written {number}").found["entry"]

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        return (
            said is not None and life.told(f"/v1/ledger/entries/{said}")["leaf"]["code"] == "tool.not_pinned"
        )


class Stories(Feature):
    name = "search and story"
    claim = "What an action was, for whom, and how it ended can be told of every id that belongs to it."
    doors = ("timeline {action}", "/v1/timeline/{action}", 0)
    asked = ("timeline {action}", "worker")
    holds = Answers(
        {
            "of the action": "intent outcome",
            "of the mandate": "True",
            "of the agent": "True",
            "found": "succeeded",
            "accounts": "task",
        }
    )
    tags = frozenset({Tag.INTENT, Tag.OUTCOME, Tag.INDETERMINATE, Tag.GENESIS, Tag.ERASED, Tag.KEY_CHANGE})
    tables = names("history history_kept subject_keys") | names(
        "account action approver corrected giver mark mention name pseudonym reached session stretch subject used word"
    )
    nouns = names("timeline search show scope account attribute why could can stats")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate()

    def finish(self, life: Life, kept: Kept) -> None:
        found = life.pays("worker", kept["mandate"], "story", 10).found
        kept |= {"action": found["answerable/action"], "intent": found["answerable/intent"]}

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        lines = life.told(f"/v1/timeline/{kept['action']}")["lines"]
        kinds = [one["kind"] for one in lines if one["kind"] in ("intent", "outcome")]
        others = (life.told(f"/v1/timeline/{name}")["lines"] for name in (kept["mandate"], "worker"))
        of_mandate, of_agent = (any(one["index"] == kept["intent"] for one in found) for found in others)
        # Another process answers, by an index which may be behind but is never half.
        found = life.told(f"/v1/actions?q=action:{kept['action']}")["items"]
        ends = " ".join(one["outcome"] for one in found)
        # Whose accounts the plug-in's target had is in the ledger, whatever became of the registers.
        listed = life.told("/v1/accounts?target=notes")["items"]
        accounts = " ".join(one["kind"] for one in listed if one["actions"])
        said = (" ".join(kinds), str(of_mandate), str(of_agent), ends, accounts)
        return dict(zip(self.holds, said, strict=True))

    def write(self, life: Life, kept: Kept, number: int) -> object:
        return life.pays("worker", kept["mandate"], f"story written {number}", 10).found["answerable/action"]

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        done = life.done("pay", account="A1", amount=10, to=f"story written {number}")
        assert done <= 1
        if said is None:
            return False
        lines = life.told(f"/v1/timeline/{said}")["lines"]
        assert {"intent", "outcome"} <= {one["kind"] for one in lines}
        return done == 1


class Incidents(Feature):
    name = "incident"
    claim = "What people said of an incident stands, signed, and is what every door tells of it."
    doors = ("incident show {incident}", "/v1/incidents/{incident}", 0)
    asked = ("incident show {incident}", "it did nothing")
    holds = Answers(
        {"open": "open: it is odd; why?", "closed": "closed: it is odd; it did nothing", "asked": "1"}
    )
    tags = frozenset({Tag.INCIDENT})
    nouns = names("incident")

    def begin(self, life: Life, kept: Kept) -> None:
        kept |= {"another": self.said(life, "it is odd"), "first": self.said(life, "it is odd")}
        kept["incident"] = kept["first"]["incident"]

    def finish(self, life: Life, kept: Kept) -> None:
        self.said(life, "why?", "noted", kept["another"], question=1)
        self.said(life, "it did nothing", "closed", kept["first"])

    @staticmethod
    def said(
        life: Life, text: str, change: str = "opened", of: Kept | None = None, since: int = 1, **more: Any
    ) -> Kept:
        """What Ada says of an incident, about a time in which nothing happened."""
        at = time.time_ns() // 1_000_000
        about = {"kind": "window", "since_ms": since, "until_ms": since + 1} if of is None else {}
        place = {name: of[name] for name in ("incident", "entry")} if of is not None else {}
        claims = incident_claims(
            "ada", life.origin, text, at=at, random=os.urandom(16), change=change, **about, **place, **more
        )
        path = {"noted": "/notes", "closed": "/close"}.get(change, "")
        of_one = f"/{place['incident']}{path}" if place else ""
        token = signed_incident(claims, key=life.key("ada"))
        return dict(life.told(f"/v1/incidents{of_one}", {"token": token}))

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        one = f"/v1/incidents/{kept['first']['incident']}"
        life.until(
            lambda: life.told(one)["incident"]["state"] == "closed", "an index that may be a second behind"
        )
        answers = [life.told(f"/v1/incidents/{kept[name]['incident']}") for name in ("another", "first")]
        told = [
            f"{one['incident']['state']}: {'; '.join(note['text'] for note in one['notes'])}"
            for one in answers
        ]
        return {"open": told[0], "closed": told[1], "asked": str(len(answers[0]["open_questions"]))}

    def write(self, life: Life, kept: Kept, number: int) -> object:
        return self.said(life, "again", since=SINCE_MS + number)["incident"]

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        at = datetime.fromtimestamp((SINCE_MS + number) / 1_000, UTC)
        every = life.items("/v1/incidents?limit=1000")
        found = [one for one in every if datetime.fromisoformat(one["since"]) == at]
        assert said is None or [one["id"] for one in found] == [said]
        assert all((one["state"], one["notes"], one["opened_by"]) == ("open", 0, "ada") for one in found)
        return bool(found)


class Checks(Feature):
    name = "check and review"
    claim = "What a check finds is what is so, and the ledger that is verified is the one that was written."
    doors = ("drill list", "/v1/drills", 0)
    asked = ("drill list", "passed")
    holds = Answers({"registry": "paused", "verified": "valid", "drilled": "1"})
    tags = frozenset({Tag.DRILL, Tag.RECOVERY, Tag.GAP, Tag.SHARD_HEAD})
    tables = names("drills figures figures_kept")
    nouns = names("status check-config doctor drill ledger evidence witness up")

    def begin(self, life: Life, kept: Kept) -> None:
        life.told("/v1/drills", {"drill": "stop", "kind": "agent", "name": "helper"})

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        found = life.told("/v1/registry/check")
        verified = life.command("ledger", "verify", str(life.home.data / "ledger"))
        return {
            "registry": " ".join(one["name"] for one in found["inactive"]),
            "verified": "valid" if "valid" in verified else verified,
            "drilled": str(len([one for one in life.items("/v1/drills") if one["name"] == "helper"])),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        return life.told("/v1/drills", {"drill": "stop", "kind": "agent", "name": "worker"})["id"]

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        return said in [one["id"] for one in life.items("/v1/drills")]


class Light(Feature):
    name = "light installation"
    claim = "What the installation without a server finds in a ledger and in evidence is what the whole product finds."
    doors = ("timeline {mandate}", "/v1/timeline/{mandate}", 0)
    asked = ("timeline {mandate}", "worker")
    holds = Answers({"ledger": "valid_but", "evidence": "valid_but", "as the whole": "True", "server": "2"})

    def begin(self, life: Life, kept: Kept) -> None:
        kept["mandate"] = life.mandate()
        kept["key"] = life.told("/v1/ledger")["key"]

    def finish(self, life: Life, kept: Kept) -> None:
        kept["bundle"] = self.bundle(life, kept, life.pays("worker", kept["mandate"], "light", 10))

    @staticmethod
    def bundle(life: Life, kept: Kept, done: Said) -> Path:
        """Evidence of one action, as a file."""
        life.told("/v1/ledger/seal", {})
        intent = done.found["answerable/intent"]
        wanted = {"about": {}, "entries": [intent], "reveal": [], "replay": False}
        path = life.root / f"light-{intent}.bundle"
        path.write_bytes(b64decode(life.told("/v1/evidence", wanted)["bundle"]))
        return path

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        # Of several processes, the log of logs has a key of its own.
        lines = (
            ("ledger", "verify", str(life.home.data / "ledger"), "--json"),
            ("evidence", "verify", str(kept["bundle"]), "--key", kept["key"], "--json"),
        )
        light = [json.loads(life.light.answerable(*words, cwd=life.root).stdout)["status"] for words in lines]
        whole = [json.loads(life.printed(*words))["status"] for words in lines]
        refused = life.light.answerable("stop", "worker", cwd=life.root)
        return dict(zip(self.holds, (*light, str(light == whole), str(refused.returncode)), strict=True))

    def write(self, life: Life, kept: Kept, number: int) -> object:
        return self.bundle(life, kept, life.pays("worker", kept["mandate"], f"light {number}", 10))

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        if said is None:
            return False
        words = ("evidence", "verify", str(said), "--key", kept["key"], "--json")
        done = life.light.answerable(*words, cwd=life.root)
        return str(json.loads(done.stdout)["status"]) == "valid_but"


ROWS = (Holds(), Revocations(), Rules(), Refusals(), Stories(), Incidents(), Checks(), Light())
