"""Parse `lease` of a Capability document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.canonical import freeze
from answerable.core.registry.documents.lease_template import ARGUMENT, LEASE_WINDOWS, LeaseTemplate, holes_in
from answerable.errors import Malformed, shown
from answerable.errors.codes.leases import LEASE_PLACEHOLDER
from answerable.errors.codes.registry import CAPABILITY_LEASE

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import ArgumentMapping
    from answerable.core.registry.documents.fields import Fields

LEASE_KEYS: Final = ("window", "ttlSeconds", "grants", "model")
TTL_SECONDS_MAX: Final = 86_400


def lease_template_in(spec: Fields, arguments: tuple[ArgumentMapping, ...]) -> LeaseTemplate | None:
    """Read `lease`; None if absent. Records faults."""
    if not spec.has("lease"):
        return None
    lease = spec.section("lease", LEASE_KEYS)
    window = lease.choice("window", LEASE_WINDOWS, default="action")
    ttl_seconds = (
        lease.integer("ttlSeconds", minimum=1, maximum=TTL_SECONDS_MAX) if lease.has("ttlSeconds") else 0
    )
    grants, model = dict(lease.pairs("grants")), lease.text("model", default="")
    if model and model not in {one.name for one in arguments if one.type == "string"}:
        lease.fault(
            f"{shown(model)} is not a mapped argument of type `string`: add it to `arguments`",
            "model",
            code=CAPABILITY_LEASE.id,
        )
    if not grants:
        lease.fault("a lease needs `grants`", "grants", code=CAPABILITY_LEASE.id)
    try:
        _check_holes(grants, {one.name for one in arguments})
        return LeaseTemplate(window=window, ttl_seconds=ttl_seconds, grants=freeze(grants), model=model)
    except Malformed as error:
        lease.fault(error.message, "grants", code=error.code)
        return None


def _check_holes(grants: JSONValue, arguments: set[str]) -> None:
    for hole in holes_in(grants):
        name = hole.removeprefix(ARGUMENT)
        if name != hole and name not in arguments:
            raise LEASE_PLACEHOLDER(
                f"{shown(name)} is not a mapped argument of this capability: add it to `arguments`"
            )
