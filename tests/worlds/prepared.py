"""A bench with a tool that prepares payment batches and one that executes them, and an upstream that may be hostile."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest

from answerable.adapters.mcp_upstream.closed_schema import compile_closed
from answerable.core.action.outcome import Outcome
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.canonical import encode, freeze
from answerable.core.mandate.mandate import Grant
from answerable.core.registry.documents.capability import Capability
from answerable.errors import Refused
from answerable.ports.prepared_register import PreparedRegister
from answerable.testing.builders import POLICIES, Bench, bench_documents, memory_ledger
from answerable.testing.clock import ManualClock
from answerable.testing.recording_upstream import Effect, RecordingUpstream
from answerable.testing.registers import fresh_subject_keys
from answerable.testing.samples import OWNERSHIP, document

RULES = """
@id("prepare") permit (principal, action == Action::"crm.prepare", resource);
@id("execute") permit (principal, action == Action::"crm.execute", resource);
@id("batch-large") @reason("batches above 5000 wait for an approver") @approve("approvers:1")
forbid (principal, action == Action::"crm.execute", resource) when { context.arguments.total > 5000 };
@id("batch-never") @reason("nobody pays the taxman this way")
forbid (principal, action == Action::"crm.execute", resource) when { context.arguments.payees.contains("taxman") };
"""
BATCH: dict[str, Any] = {
    "batch_id": "PB-1",
    "currency": "EUR",
    "lines": [
        {"amount": 1200, "iban": "DE89370400440532013000", "payee": "Linden Bakery"},
        {"amount": 300, "iban": "SE4550000000058398257466", "payee": "Lindqvist Print"},
    ],
}
LARGE = {**BATCH, "lines": [{**BATCH["lines"][0], "amount": 6000}]}
PREPARE: dict[str, Any] = {
    "name": "prepare_batch",
    "inputSchema": {
        "type": "object", "properties": {"note": {"type": "string"}}, "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}  # fmt: skip
EXECUTE: dict[str, Any] = {
    "name": "execute_batch",
    "inputSchema": {
        "type": "object",
        "properties": {"batch": {"type": "string"}, "digest": {"type": "string"}},
        "required": ["batch", "digest"],
    },
    "annotations": {"readOnlyHint": False, "destructiveHint": True, "openWorldHint": True},
}
ARGUMENTS: list[Any] = [
    {"name": "batch_id", "type": "string", "required": True, "pointer": "/batch/{json}/batch_id"},
    {"name": "total", "type": "minor_units", "required": True, "pointer": "/batch/{json}/lines/*/amount/{sum}"},
    {"name": "largest", "type": "minor_units", "pointer": "/batch/{json}/lines/*/amount/{largest}"},
    {"name": "count", "type": "integer", "pointer": "/batch/{json}/lines/{count}"},
    {"name": "currency", "type": "string", "pointer": "/batch/{json}/currency"},
    {"name": "payees", "type": "string_set", "required": True, "pointer": "/batch/{json}/lines/*/payee"},
]  # fmt: skip


def capabilities(**changes: Any) -> list[Any]:
    """The two. changes: of the one that executes."""
    common: dict[str, Any] = {
        "server": "crm", "environment": "production", "sensitivity": "confidential", "ownership": {**OWNERSHIP},
    }  # fmt: skip
    prepare = {
        **common,
        "target": "prepare_batch",
        "kind": "read",
        "tier": 1,
        "amount": {"fixed": 0},
        "resource": {"type": "Desk", "fixed": "payments"},
    }
    execute = {
        **common,
        "target": "execute_batch",
        "title": "pay a batch",
        "kind": "pay",
        "tier": 3,
        "resource": {"type": "Batch", "argument": "batch_id"},
        "arguments": ARGUMENTS,
        "amount": {"argument": "total", "currencyArgument": "currency"},
        "destination": {"type": "name", "arguments": ["payees"]},
        "executes": {"preparedBy": "crm.prepare", "argument": "batch", "digestArgument": "digest"},
        **changes,
    }
    return [document("Capability", "crm.prepare", prepare), document("Capability", "crm.execute", execute)]


def documents(rules: str = "", **changes: Any) -> list[Any]:
    return [*bench_documents(POLICIES + RULES + rules), *capabilities(**changes)]


@dataclass(slots=True, kw_only=True)
class PreparingUpstream(RecordingUpstream):
    """results: what the tool that prepares answers, one after the other; the last one again and again. defined: what
    the server says of its tools."""

    results: list[dict[str, Any]] = field(default_factory=list)
    defined: dict[str, Any] = field(
        default_factory=lambda: {"prepare_batch": PREPARE, "execute_batch": EXECUTE}
    )

    def definition(self, capability: Capability) -> ToolDefinition | None:
        said = self.defined.get(capability.target)
        if said is None:
            return RecordingUpstream.definition(self, capability)
        text = encode(said)
        return ToolDefinition(
            text=text, digest=sha256(text).hexdigest(), violations=compile_closed(said["inputSchema"])
        )

    def said(self, effect: Effect) -> Outcome:
        arguments: Any = effect.arguments
        if "batch" in arguments:
            return Outcome(status="succeeded", result={"structuredContent": {"paid": True}})
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        return Outcome(status="succeeded", result=result)


def structured(value: Any) -> dict[str, Any]:
    """A tool's answer that holds a value."""
    return {"content": [{"type": "text", "text": "prepared"}], "structuredContent": value}


async def prepared_bench(
    *results: dict[str, Any],
    prepared: PreparedRegister | None = None,
    budgets: tuple[tuple[str, int], ...] = (),
    registry: list[Any] | None = None,
    **more: Any,
) -> tuple[Bench, PreparingUpstream]:
    """A bench with a mandate for both tools. results: what is prepared; the batch where nothing is said."""
    clock = ManualClock()
    keys = fresh_subject_keys("subject keys")
    ledger = memory_ledger(clock)
    upstream = PreparingUpstream(clock=clock, ledger=ledger, subject_keys=keys)
    upstream.results = list(results) or [structured(BATCH)]
    upstream.answer = upstream.said
    bench = Bench(clock=clock, ledger=ledger, subject_keys=keys, upstream=upstream, prepared=prepared, **more)
    bench.upstream = upstream
    await bench.registered(registry or documents())
    await bench.issue(grants=GRANTS, budgets=budgets)
    return bench, upstream


GRANTS = (Grant(capability="crm.prepare"), Grant(capability="crm.execute"), Grant(capability="crm.read"))


async def prepare(bench: Bench, **more: Any) -> dict[str, Any]:
    """What came of preparing, as the outcome says it."""
    answer = await bench.act("prepare_batch", {}, **more)
    assert answer.outcome is not None
    assert answer.outcome.prepared is not None, answer.outcome
    return answer.outcome.prepared


async def prepared(bench: Bench, **more: Any) -> str:
    """The digest of what was prepared."""
    said = await prepare(bench, **more)
    assert said["kept"], said
    return str(said["digest"])


def digest(value: Any) -> str:
    return f"sha256:{freeze(value).hex}"


async def execute(bench: Bench, named: Any, **more: Any) -> Any:
    return await bench.act("execute_batch", {"batch": named}, **more)


def executed(upstream: RecordingUpstream) -> list[Any]:
    """The arguments with which the tool that executes was called."""
    found: list[Any] = [effect.arguments for effect in upstream.effects]
    return [one for one in found if "batch" in one]


def free_documents(rules: str = '@id("all") permit (principal, action, resource);') -> list[Any]:
    """The same tools, with nothing said of what is inside."""
    found = documents(
        arguments=[], amount={"fixed": 0}, destination={"type": "name", "fixed": "bank"},
        resource={"type": "Batch", "fixed": "all"},
    )  # fmt: skip
    for one in found:
        if one["kind"] == "PolicySet":
            one["spec"]["policies"] = rules
    return found


async def refused(bench: Bench, named: Any, code: str, **more: Any) -> Refused:
    with pytest.raises(Refused) as raised:
        await execute(bench, named, **more)
    assert raised.value.code == code, raised.value
    return raised.value
