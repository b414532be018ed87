"""Histories to be searched, of entries as the product writes them, and a plain scan that knows nothing of an index."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from answerable.adapters.sqlite import SqliteSubjectKeys
from answerable.adapters.sqlite.search_index import SqliteSearchIndex
from answerable.core.lease.name import account_of, lease_name
from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.blind import BlindKey
from answerable.core.search.matching import resolved
from answerable.core.search.query import parsed_query
from answerable.flows.forensics.search_ledger import HitPage, catch_up, forget_erased, search_ledger
from answerable.testing.builders import memory_ledger
from answerable.testing.clock import START, ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.testing.memory_ledger import MemoryLedger
from answerable.testing.registers import fresh_subject_keys

ROOT = b"root of the subject keys".ljust(32, b".")
PAGE = 7
HOUR = 3_600_000
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07",
    "=HYPERLINK(1)",
    "<script>alert(1)</script>",
    "a' OR 1=1; DROP TABLE action --",
    "\u202ecod.exe",
    "nul\0here",
    "line\nbreak",
    "\\u0000",
    '"quoted"',
)
"""Texts that a caller chooses, in every member that it can reach."""


@dataclass
class Searched:
    """A log in memory, made entry by entry, its keys, and indexes of it."""

    place: Path
    stretch_entries: int = 16
    keys: SqliteSubjectKeys = field(default_factory=fresh_subject_keys)
    ledger: MemoryLedger = field(default_factory=lambda: memory_ledger(ManualClock()))
    gone: set[bytes] = field(default_factory=set)
    made: int = 0
    at: int = START

    def add(self, tag: Tag, subject: str = "", sealed: dict[str, Any] | None = None, **leaf: Any) -> int:
        """Append an entry, and return its index. Names of people become pseudonyms in the leaf."""
        entropy = SeededEntropy(f"searched {self.ledger.size}")
        fields = [(name.encode(), json.dumps(value).encode()) for name, value in (sealed or {}).items()]
        sealing = Sealing(key=self.keys.of(subject), random=entropy.bytes) if fields else None
        self.at += 1_000
        entry = sealed_entry(tag, at=leaf.pop("at", self.at), members=leaf, fields=fields, sealing=sealing)
        return asyncio.run(self.ledger.append(entry)).index

    def pseudonym(self, subject: str, person: str) -> str:
        return self.keys.of(subject).pseudonym(b"principal", person.encode())

    def find(self, key_id: bytes) -> Any:
        return None if key_id in self.gone else self.keys.find(key_id)

    def erase(self, subject: str) -> str:
        """Destroy a subject's key, and return its id."""
        key = self.keys.of(subject)
        self.gone.add(key.id)
        return key.id.hex()

    def known(self, subject: str) -> str:
        key = self.keys.known(subject)
        return key.id.hex() if key is not None else ""

    def opened(self, name: str = "index", *, blind: BlindKey | None = None) -> SqliteSearchIndex:
        return SqliteSearchIndex.open(
            self.place / name,
            origin=self.ledger.origin,
            blind=blind or BlindKey(ROOT),
            stretch_entries=self.stretch_entries,
        )

    def caught_up(self, name: str = "index") -> SqliteSearchIndex:
        index = self.opened(name)
        self.follow(index)
        return index

    def follow(self, index: SqliteSearchIndex) -> None:
        """What each door does before it asks."""
        catch_up(index, self.ledger, self.find)
        forget_erased(index, {one.hex() for one in self.keys.ids() - self.gone})

    def page(self, index: SqliteSearchIndex, *words: str, **more: Any) -> HitPage:
        query = parsed_query(words, now=self.at)
        options: dict[str, Any] = {"limit": 1_000, "subject": self.known, **more}
        return search_ledger(index, self.ledger, self.find, query, **options)

    def found(self, index: SqliteSearchIndex, *words: str) -> list[int]:
        return [one.facts.entry for one in self.page(index, *words).hits]

    def counted(self, index: SqliteSearchIndex, *words: str) -> int:
        """How many entries the index counts for a search, without opening one."""
        asked = parsed_query(words, now=self.at)
        query = resolved(asked, pseudonyms=index.pseudonyms, subject=self.known)
        return sum(one.entries for one in index.tallies(query, ("kind", "agent", "week")))

    # --- what happens --------------------------------------------------------------------------------

    def action(
        self,
        agent: str = "scout",
        *,
        person: str = "ada",
        resource: str = "4711",
        amount: int | None = None,
        tag: Tag = Tag.INTENT,
        reason: str = "the customer asked",
        destinations: Sequence[str] = (),
        lease: str = "",
        leased: bool = False,
        approval: str = "",
        server: str = "crm",
        subject: str = "",
        hold: str = "",
        **leaf: Any,
    ) -> int:
        """An intent, a refusal or a question. leased: under a lease of its own."""
        self.made += 1
        octets = self.made.to_bytes(16, "big")
        subject = subject or f"Customer:{resource}"
        arguments = {} if amount is None else {"amount": amount}
        question = {
            "resource": {"id": resource, "type": "Case"},
            "context": {
                "arguments": arguments,
                "destination": {"names": [*destinations]},
                "task": {"principal": person, "purpose": "to help"},
            },
            **({"hold": {"id": hold, "kind": "agent"}} if hold else {}),
        }
        sealed = {"question": question, "reason": reason}
        if tag != Tag.INTENT:
            sealed |= {"reasons": [f"refused: {reason}"]}
        if tag == Tag.APPROVAL_ASKED:
            sealed |= {"principal_name": person}
        members: dict[str, Any] = {
            "action": octets.hex(),
            "agent": agent,
            "capability": f"{server}.read",
            "mandate": f"m-{agent}",
            "principal": self.pseudonym(subject, person),
            "proof": {"binding": f"thumb-{agent}", "kind": "signature", "sequence": self.made},
            "server": server,
            "use_case": "support",
        }
        lease = lease_name(octets) if leased else lease
        more = {"approval": approval, "lease": lease, "lease_target": "pg-main" if lease else ""}
        members |= {name: value for name, value in more.items() if value}
        if tag == Tag.REFUSAL:
            # Whose task it was is at the mandate alone.
            del members["principal"]
            members |= {"by": ["stopnotes"], "code": "policy.forbidden"}
        else:
            members["decision"] = {"by": ["all", "second"], "effect": "allow", "policy_set": "p"}
        return self.add(tag, subject, sealed, **(members | leaf))

    def mandate(self, agent: str = "scout", person: str = "ada", *, cited: bool = False) -> int:
        """The mandate of an agent's actions, issued in this log, or cited of another."""
        subject, name = f"Tasks of {person}", f"m-{agent}"
        leaf = {"kind": "mandate", "name": name} if cited else {"agent": agent, "mandate": name}
        return self.add(
            Tag.CITED if cited else Tag.MANDATE_ISSUED,
            subject,
            {"principal_name": person, "purpose": "to help"},
            principal=self.pseudonym(subject, person),
            **leaf,
        )

    def registry(self, **capabilities: dict[str, Any]) -> int:
        """A change of the registry, by server: what is declared of its `read`."""
        changes = {f"Capability/{name}.read": {"spec": spec} for name, spec in capabilities.items()}
        return self.add(Tag.REGISTRY_CHANGE, "Registry", {"changes": changes}, after="a", before="b")

    def early_refusal(self, agent: str = "scout", *, server: str = "crm", **arguments: Any) -> int:
        """A refusal before the policies were asked: its arguments are in the action alone."""
        self.made += 1
        action = {"arguments": arguments, "method": "tools/call", "server": server, "target": "read"}
        return self.add(
            Tag.REFUSAL,
            f"Early {agent}",
            {"request": action, "reasons": ["it has been revoked"]},
            action=f"{self.made:032x}",
            agent=agent,
            by=["revoked.mandate"],
            capability=f"{server}.read",
            code="revoked.mandate",
            mandate=f"m-{agent}",
            server=server,
        )

    def end(self, intent: int, status: str = "succeeded", **session: str) -> int:
        tag = Tag.INDETERMINATE if status == "indeterminate" else Tag.OUTCOME
        said = {"session": session} if session else {}
        return self.add(tag, "Log", {"detail": ""}, intent=intent, status=status, **said)

    def answer(self, approval: str, person: str = "bob", comment: str = "looks fine") -> int:
        sealed = {"person_name": person, "comment": comment}
        subject = f"Answers of {person}"
        who = self.pseudonym(subject, person)
        return self.add(
            Tag.APPROVAL_ANSWER,
            subject,
            sealed,
            approval=approval,
            person=who,
            state="approved",
            verdict="approve",
        )

    def lease(self, lease: str, account: str) -> int:
        return self.add(
            Tag.LEASE, lease=lease, account=account, agent="scout", state="issued", target="pg-main"
        )

    def hold(self, hold: str, agent: str = "scout") -> int:
        sealed = {"by_name": "carol", "reason": "it loops"}
        who = self.pseudonym("Holds", "carol")
        return self.add(
            Tag.HOLD_PLACED, "Holds", sealed, hold=hold, agent=agent, by=who, kind="agent", name=agent
        )

    def door(self, named: str) -> int:
        """A message that a door refused, and that named an agent."""
        return self.add(
            Tag.DOOR_REFUSAL, "Doors", {"agent_named": named}, code="proof.key", count=1, door="mcp"
        )

    def finding(self, account: str, *, sealed: bool) -> int:
        """What a target's log shows of an account, whose name is sealed where it may be a person's."""
        named, hidden = ({}, {"account": account}) if sealed else ({"account": account}, {})
        return self.add(
            Tag.LOG_FINDING, "Logs", hidden, kind="postgres", target="pg-main", verdict="bypass", **named
        )

    def account_lease(self, number: int) -> tuple[str, str]:
        """The lease of one action, by the number of the action, and its account as a target writes it."""
        name = lease_name(number.to_bytes(16, "big"))
        return name, account_of(name)


# --- the plain scan ------------------------------------------------------------------------------------

ENDS = (Tag.OUTCOME, Tag.INDETERMINATE)
PEOPLE = ("principal", "person", "by", "owner", "author", "of", "to")


class Scan:
    """Reads and opens every entry, and compares it with one word at a time; no code of the search is used."""

    def __init__(self, searched: Searched) -> None:
        self.entries = [*searched.ledger.replay()]
        self.known = searched.known
        self.leaves = [leaf_of(one) for one in self.entries]
        self.fields = [
            payload_of(one, leaf, searched.find) or {}
            for one, leaf in zip(self.entries, self.leaves, strict=True)
        ]
        self.tags = [one.tag for one in self.entries]
        self.ends: dict[Any, Any] = {
            leaf["intent"]: leaf for tag, leaf in zip(self.tags, self.leaves, strict=True) if tag in ENDS
        }

        self.people: defaultdict[Any, set[Any]] = defaultdict(set)
        self.answers: defaultdict[Any, set[Any]] = defaultdict(set)
        for tag, leaf, fields in zip(self.tags, self.leaves, self.fields, strict=True):
            for one in PEOPLE:
                if one in leaf and isinstance(fields.get(one), str):
                    self.people[fields[one]].add(leaf[one])
            if tag == Tag.APPROVAL_ANSWER:
                self.answers[leaf["approval"]].add(leaf["person"])
        self.tasks: dict[Any, list[tuple[int, Any]]] = defaultdict(list)
        for i, (tag, leaf) in enumerate(zip(self.tags, self.leaves, strict=True)):
            if tag in (Tag.MANDATE_ISSUED, Tag.CITED):
                self.tasks[leaf.get("mandate") or leaf.get("name")].append((i, leaf["principal"]))

    def find(self, *words: str) -> list[int]:
        """Return the entries for which every word holds, newest first."""
        fields: dict[str, list[str]] = {}
        for word in words:
            name, _, value = word.partition(":")
            fields.setdefault(name, []).append(value)
        found = [
            i
            for i, tag in enumerate(self.tags)
            if tag not in ENDS
            and all(
                (all if name == "text" else any)(self.holds(i, name, one) for one in values)
                for name, values in fields.items()
            )
        ]
        return sorted(found, key=lambda i: (self.leaves[i]["at"], i), reverse=True)

    def holds(self, i: int, name: str, value: str) -> bool:
        return value in [*self.values(i, name, value)]

    def values(self, i: int, name: str, value: str) -> Iterator[Any]:
        leaf: Any = self.leaves[i]
        fields: Any = self.fields[i]
        question: Any = fields.get("question") or {}
        context: Any = question.get("context") or {}
        end: Any = self.ends.get(i, {})
        yield from (leaf.get(one) for one in MEMBERS.get(name, "").split())
        match name:
            case "hold":
                yield from (leaf.get("hold"), question.get("hold", {}).get("id"))
            case "stopped":
                if self.tags[i] == Tag.HOLD_PLACED:
                    yield leaf["name"]
            case "named":
                yield fields.get("agent_named")
            case "resource":
                yield question.get("resource", {}).get("id")
            case "destination":
                yield from context.get("destination", {}).get("names", [])
            case "person":
                here = {leaf.get(one) for one in PEOPLE if isinstance(leaf.get(one), str)}
                first = self.tasks[leaf.get("mandate")][:1] if self.tags[i] == Tag.REFUSAL else []
                here |= {principal for at, principal in first if at < i}
                yield from (value for _ in here & self.pseudonyms(value))
            case "approver":
                if self.tags[i] in (Tag.INTENT, Tag.REFUSAL, Tag.APPROVAL_ANSWER):
                    yield from (value for _ in self.answered(leaf.get("approval")) & self.pseudonyms(value))
            case "account":
                yield leaf.get("account")
                yield fields.get("account")
                if self.tags[i] == Tag.INTENT and leaf.get("lease"):
                    leases = zip(self.tags, self.leaves, strict=True)
                    yield from (
                        one["account"]
                        for tag, one in leases
                        if tag == Tag.LEASE and one["lease"] == leaf["lease"]
                    )
            case "session":
                for kind, text in end.get("session", {}).items():
                    yield from (text, f"{kind}:{text}")
            case "outcome":
                yield self.outcome(i, end)
            case "decision":
                yield {Tag.INTENT: "allow", Tag.REFUSAL: "deny", Tag.APPROVAL_ASKED: "defer"}.get(
                    self.tags[i]
                )
            case "rule":
                decision: Any = leaf.get("decision") or {}
                yield from decision.get("by") or []
                yield from leaf["by"] if isinstance(leaf.get("by"), list) else []
            case "key":
                yield leaf.get("proof", {}).get("binding")
            case "kind":
                yield Tag(self.tags[i]).name.lower()
            case "subject":
                if self.entries[i].attachment:
                    yield from (
                        value for _ in [0] if self.entries[i].attachment[1:17].hex() == self.known(value)
                    )
            case "text":
                texts = [fields.get(one) for one in ("reason", "comment")]
                texts += fields.get("reasons") or []
                said = " ".join(one for one in texts if isinstance(one, str)).lower()
                yield from "".join(c if c.isalnum() or c == "_" else " " for c in said).split()

    def outcome(self, i: int, end: Any) -> str | None:
        usual = {Tag.INTENT: "open", Tag.REFUSAL: "refused", Tag.APPROVAL_ASKED: "asked"}
        return end.get("status") or usual.get(self.tags[i])

    def pseudonyms(self, name: str) -> set[Any]:
        return {name} | self.people[name]

    def answered(self, approval: Any) -> set[Any]:
        return self.answers[approval]


MEMBERS = {
    **{one: one for one in "agent mandate capability server code approval lease action".split()},
    "use-case": "use_case",
    "target": "lease_target target",
}
"""What an entry has by a field of the language, as it is."""
