"""A bench whose agent has vendors, and ways to act and to revoke on it."""

from __future__ import annotations

import msgspec

from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.ledger.answer import Answer
from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.parts import to_govern

INSTANCE = "spiffe://example.org/agent/scout/abc/sub-1"
MANIFEST = "a" * 64


def documents_with_vendors() -> list[object]:
    found = bench_documents()
    for one in found:
        match one:
            case {"kind": "Agent", "metadata": {"name": "scout"}, "spec": dict(spec)}:
                spec["vendors"] = ["model-maker", "framework-maker"]
            case {"kind": "Server", "spec": dict(spec)}:
                spec["vendor"] = "crm-maker"
    return found


async def bench_with_vendors() -> Bench:
    bench = await Bench().registered(documents_with_vendors())
    await bench.issue()
    return bench


async def act_as_instance(bench: Bench) -> Answer:
    identity = CallerIdentity(
        instance=INSTANCE, source="unix", grade="kernel", manifest=MANIFEST, measured=MANIFEST, key="K" * 43
    )
    action, caller = bench.request("get_case", {"case": "4711"})
    caller = msgspec.structs.replace(caller, identity=identity, key=caller.binding)
    return await govern_action(*to_govern(bench.walk), action, caller)


def revoke_now(bench: Bench, what: RevocationTarget) -> None:
    bench.authority.revocations.add(Revocation(what=what, at=bench.clock.now(), by="operator"))
