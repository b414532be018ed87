"""A bench whose agent, capability and server are of every kind that can be held, and ways to stop and to lift on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.core.containment.hold import HoldTarget, holdable
from answerable.core.containment.lift import LIFT, LiftClaims
from answerable.flows.containment.lift_hold import lift_hold
from answerable.flows.revocation.place_hold import place_hold
from answerable.testing.builders import Bench
from answerable.testing.samples import AUDIENCE, signing_key
from tests.worlds.parts import to_hold
from tests.worlds.revocation import INSTANCE, MANIFEST, documents_with_vendors

if TYPE_CHECKING:
    from answerable.core.containment.hold import Hold
    from answerable.flows.revocation.place_hold import Placed

REACHING = {
    "agent": holdable("agent", "scout"),
    "instance": holdable("instance", INSTANCE),
    "instance above": holdable("instance", "spiffe://example.org/agent/scout/abc"),
    "mandate": holdable("mandate", "m-1"),
    "tool": holdable("tool", "crm/get_case"),
    "server": holdable("server", "crm"),
    "capability": holdable("capability", "crm.read"),
    "key": holdable("key", signing_key("scout").public.thumbprint),
    "key of the giver": holdable("key", signing_key("alice").public.thumbprint),
    "manifest": holdable("manifest", MANIFEST),
    "owner": holdable("owner", "alice"),
    "vendor": holdable("vendor", "model-maker"),
    "vendor of the server": holdable("vendor", "crm-maker"),
    "trust domain": holdable("trust_domain", "example.org"),
    "environment": holdable("environment", "production"),
    "tenant of the agent": holdable("tenant", "north"),
    "tenant of the server": holdable("tenant", "south"),
    "everything": HoldTarget("everything", ""),
}
"""What reaches the action that `act_as_instance` asks for."""


def documents_with_tenants() -> list[object]:
    found = documents_with_vendors()
    for one in found:
        match one:
            case {"kind": "Agent", "metadata": {"name": "scout"}, "spec": dict(spec)}:
                spec["tenant"] = "north"
            case {"kind": "Server", "spec": dict(spec)}:
                spec["tenant"] = "south"
    return found


async def bench_to_hold(**ports: Any) -> Bench:
    bench = await Bench(**ports).registered(documents_with_tenants())
    await bench.issue()
    return bench


async def stop(bench: Bench, what: HoldTarget, *, by: str = "uid:1000", expires_at: int = 0) -> Placed:
    return await place_hold(
        *to_hold(bench.walk), what, by=by, reason="it deletes mail", expires_at=expires_at
    )


def lift_token(
    bench: Bench,
    hold: Hold,
    by: str,
    *,
    reason: str = "looked at it",
    key: str = "",
    audience: str = AUDIENCE,
) -> str:
    claims = LiftClaims(
        iss=by, aud=audience, hold=hold.id, digest=hold.digest, reason=reason, iat_ms=bench.clock.now()
    )
    return LIFT.sign(claims, signing_key(key or by))


async def lift(bench: Bench, hold: Hold, by: str) -> Hold:
    return await lift_hold(
        bench.recorder,
        bench.authority,
        bench.asking.under_way,
        bench.counters,
        hold.id,
        lift_token(bench, hold, by),
    )
