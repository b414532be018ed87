"""The company of the seams: who is in it, which agents act for it, what they may do, and what asks people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from answerable.testing.samples import document

BANK = Path(__file__).with_name("bank.py")
OWNERSHIP = {
    "owner": "ada", "backupOwner": "bela", "approverGroup": "leads", "auditLevel": "full", "reviewDate": "2099-01-01",
}  # fmt: skip
PEOPLE: Mapping[str, tuple[str, ...]] = {
    "ada": ("leads",),
    "bela": ("leads",),
    "chen": ("finance",),
    "dora": ("finance",),
    "emil": ("other",),
    "olga": ("on-call",),
    "fay": ("finance",),
    "finn": ("finance",),
}
SPARE_TOOLS = 6
"""Tools that nobody has approved yet, as `bank.py` has them."""
AGENTS = (
    "worker",
    "helper",
    "spender",
    "held",
    "lifted",
    "loud",
    "looper",
    "gone",
    "paused",
    "papered",
    "asker",
    "hostile",
)
"""With keys of their own; `scout` is attested besides."""
COMMON: dict[str, Any] = {
    "environment": "production", "tier": 1, "sensitivity": "confidential", "unhinted": "accepted",
    "ownership": OWNERSHIP,
}  # fmt: skip
ACCOUNT = {"name": "account", "type": "string", "required": True}
RULES = """\
@id("all") @reason("at work") permit(principal, action, resource);
@id("large") @reason("large payments wait for finance") @approve("finance:1") @break_glass("on-call")
forbid(principal, action == Action::"bank.pay", resource) when { context.arguments.amount > 1000 };
@id("runs") @reason("runs wait for finance") @approve("finance:1")
forbid(principal, action == Action::"bank.execute", resource);
"""
TRAP = "trap-7f3a90"
"""What nobody has a reason to write."""
LOUD = """\
@id("never-loud") @reason("nobody shouts")
forbid(principal, action == Action::"bank.note", resource) when { context.arguments.text == "LOUD" };
"""


def _capability(name: str, kind: str, target: str, **spec: Any) -> Any:
    given = {
        "server": "bank",
        "target": target,
        "kind": kind,
        "resource": {"type": "Account", "argument": "account"},
    }
    return document("Capability", name, {**COMMON, **given, **spec})


def capabilities() -> list[Any]:
    """Of the bank, whose tools `bank.py` offers, of the cases behind a login of others, and of the notes that a package
    of others brings."""
    text = {"name": "text", "type": "string", "required": True}
    amount = {"name": "amount", "type": "minor_units", "required": True}
    to = {"name": "to", "type": "string", "required": True}
    pointed = [
        {"name": "run_id", "type": "string", "required": True, "pointer": "/run/{json}/run"},
        {
            "name": "total",
            "type": "minor_units",
            "required": True,
            "pointer": "/run/{json}/lines/*/amount/{sum}",
        },
    ]
    lease = {
        "window": "task",
        "grants": {
            "scopes": ["read:case"],
            "requests": [{"methods": ["GET"], "path": "/cases/7", "below": True}],
        },
    }
    return [
        _capability("bank.read", "read", "read", arguments=[ACCOUNT], amount={"fixed": 0}),
        _capability(
            "bank.pay", "pay", "pay", arguments=[ACCOUNT, amount, to],
            amount={"argument": "amount", "currency": "EUR"},
        ),
        _capability("bank.note", "write", "note", arguments=[ACCOUNT, text], amount={"fixed": 0}),
        _capability("bank.tell", "read", "tell", arguments=[ACCOUNT], amount={"fixed": 0}),
        *(
            _capability(f"bank.spare{n}", "read", f"spare{n}", arguments=[ACCOUNT], amount={"fixed": 0})
            for n in range(SPARE_TOOLS)
        ),
        _capability("bank.wipe", "delete", "wipe", arguments=[ACCOUNT], amount={"fixed": 0}),
        _capability(
            "bank.prepare", "read", "prepare", arguments=[to], amount={"fixed": 0},
            resource={"type": "Desk", "fixed": "runs"},
        ),
        _capability(
            "bank.execute", "pay", "execute", arguments=pointed,
            resource={"type": "Run", "argument": "run_id"},
            amount={"argument": "total", "currency": "EUR"},
            executes={"preparedBy": "bank.prepare", "argument": "run", "digestArgument": "digest"},
        ),
        document(
            "Capability", "notes.read",
            {
                **COMMON, "server": "notes", "target": "read", "kind": "read", "amount": {"fixed": 0},
                "lease": {"window": "task", "grants": {"folder": "case-7", "verbs": ["read"]}},
                "resource": {"type": "Note", "argument": "note"},
                "arguments": [{"name": "note", "type": "string", "required": True}],
            },
        ),
        document(
            "Capability", "cases.read",
            {
                **COMMON, "server": "cases", "target": "read", "kind": "read", "lease": lease, "amount": {"fixed": 0},
                "resource": {"type": "Path", "argument": "path"},
                "arguments": [{"name": "path", "type": "string", "required": True}],
            },
        ),
    ]  # fmt: skip


def person(name: str, key: str, groups: tuple[str, ...] | None = None) -> Any:
    """key: public, as a JWK."""
    spec = {"groups": [*(PEOPLE[name] if groups is None else groups)], "keys": [json.loads(key)]}
    return document("Principal", name, spec)


def agent(name: str, key: str, **more: Any) -> Any:
    given = {
        "useCase": "desk",
        "environment": "production",
        "keys": [json.loads(key)],
        "ownership": OWNERSHIP,
    }
    return document("Agent", name, given | more)


def company(keys: Mapping[str, str], journal: Path) -> list[Any]:
    """All of it. keys: public ones by name. journal: what the bank writes down."""
    attested = {"attestation": [[f"unix:uid:{os.geteuid()}"]], "useCase": "desk", "environment": "production"}
    rule = {"watches": "canary", "canary": {"values": [TRAP]}, "over": "mandate", "ownership": OWNERSHIP}
    shifts = [{"people": ["chen", "dora"]}]
    return [
        *(person(name, keys[name]) for name in PEOPLE),
        document(
            "UseCase", "desk", {"purpose": "Help customers", "issuers": ["leads"], "ownership": OWNERSHIP}
        ),
        *(agent(name, keys[name]) for name in AGENTS),
        document("Agent", "scout", {**attested, "ownership": OWNERSHIP}),
        document("Server", "bank", {"command": sys.executable, "args": [str(BANK), str(journal)]}),
        document("Server", "cases", {"target": "cases", "vendor": "others"}),
        document("Server", "notes", {"target": "notes", "vendor": "others"}),
        *capabilities(),
        document("StopRule", "trap", rule),
        document(
            "Duty",
            "finance",
            {"group": "finance", "timeZone": "UTC", "shifts": shifts, "deputies": ["other"]},
        ),
    ]


def policy_set(name: str, policies: str) -> Any:
    return document("PolicySet", name, {"policies": policies})
