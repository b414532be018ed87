"""Authorities, attempts and the children of authorities, drawn from worlds so small that they meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from answerable.core.mandate.authority import Authority, failure
from answerable.core.mandate.caveat import (
    SENSITIVITIES,
    Attempt,
)
from answerable.core.mandate.constraint import (
    TYPES,
    Constraint,
    Max,
    MaxLifetime,
    MaxSubtree,
    Min,
    NotOneOf,
    OneOf,
    Prefix,
    Rank,
    Unknown,
    from_wire,
    met,
)
from answerable.core.mandate.resource_name import trick_in

# Small worlds, so that what is drawn meets what is bounded.
CAPABILITIES = ("crm.read", "crm.refund", "crm.admin.drop", "files.read", "ping", "User.Read")
SCOPES = st.sampled_from([*CAPABILITIES, "crm.*", "crm.admin.*", "files.*"])
NAMES = st.sampled_from(
    [
        "a",
        "a/b",
        "a/b/c",
        "a/bc",
        "A/b",
        "a/../b",
        "a/%2e%2e/b",
        "a/b\u200b",
        "a/e\u0301",
        "a/é",
        "b",
        "а/b",
        "",
        "a/b ",
    ]
)
WORDS = st.sampled_from(["a", "b", "production", "staging", "email:a@x.test", "email:x.test", "host:x.test"])
NUMBERS = st.sampled_from([-3, -1, 0, 1, 2, 5, 9])
BOUNDS = st.one_of(NUMBERS, st.sampled_from([0.5, 1.5, -0.5]))
SCALARS = st.one_of(NAMES, WORDS, NUMBERS, st.booleans())
FACT_KEYS = st.sampled_from(
    [
        "resource:crm.read",
        "resource:files.read",
        "argument:crm.refund:n",
        "argument:crm.refund:a:b",
        "environment",
        "environment:crm.read",
        "sensitivity",
        "kind",
        "system",
        "destination",
        "destination:crm.refund",
        "calls",
        "money:EUR",
        "tempo",
        "resource",
        "resource:",
        "calls:crm.read",
        "environment:a:b",
    ]
)
ORDERS = st.sampled_from([("public", "internal", "confidential"), ("public", "confidential"), ("a", "b")])


@st.composite
def constraints(draw: st.DrawFn) -> Constraint:
    key = draw(FACT_KEYS)
    kind = draw(st.sampled_from([*TYPES, "novel"]))
    members = tuple({(type(one), one): one for one in draw(st.lists(SCALARS, max_size=4))}.values())
    match kind:
        case "max":
            return Max(key=key, bound=draw(BOUNDS))
        case "min":
            return Min(key=key, bound=draw(BOUNDS))
        case "one_of":
            return OneOf(key=key, members=members)
        case "not_one_of":
            return NotOneOf(key=key, members=members)
        case "prefix":
            return Prefix(key=key, prefix=draw(NAMES.filter(lambda one: one != "" and trick_in(one) is None)))
        case "rank":
            order = draw(ORDERS)
            return Rank(key=key, rank=draw(st.sampled_from(order)), order=order)
        case "max_lifetime":
            return MaxLifetime(key=key, bound=abs(draw(BOUNDS)))
        case "max_subtree":
            return MaxSubtree(key=key, bound=abs(draw(BOUNDS)))
    read = from_wire({"key": key, "novel": draw(NUMBERS)})
    assert isinstance(read, Unknown)
    return read


@st.composite
def authorities(draw: st.DrawFn, *, constraints_max: int = 3) -> Authority:
    found = draw(st.lists(constraints(), max_size=constraints_max))
    return Authority(
        scopes=tuple(draw(st.lists(SCOPES, min_size=1, max_size=3, unique=True))),
        constraints=tuple({(one.key, one.type): one for one in found}.values()),
    )


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    arguments: dict[str, Any] = {}
    for name in ("n", "a:b"):
        if draw(st.booleans()):
            arguments[name] = draw(st.one_of(SCALARS, st.sampled_from([0.5, None, [1], {"n": 1}])))
    return Attempt(
        capability=draw(st.sampled_from(CAPABILITIES)),
        environment=draw(st.sampled_from(["production", "staging", ""])),
        resource_type="Case",
        resource_id=draw(NAMES),
        arguments=arguments,
        kind=draw(st.sampled_from(["read", "write", ""])),
        server=draw(st.sampled_from(["a", "b", ""])),
        sensitivity=draw(st.sampled_from([*SENSITIVITIES, ""])),
        destination_type=draw(st.sampled_from(["email", "host", "name", ""])),
        destinations=tuple(draw(st.lists(st.sampled_from(["a@x.test", "b@y.test", "x.test"]), max_size=2))),
    )


RESERVED = st.sampled_from([(), ("calls",), ("calls", "money:EUR")])


def permits(authority: Authority, attempt: Attempt, reserved: tuple[str, ...] = ()) -> bool:
    return failure(authority, attempt, reserved=reserved) is None


@st.composite
def tightened(draw: st.DrawFn, parent: Authority) -> Authority:
    """Something at or below a parent, more often than chance alone would have it."""
    asked = draw(authorities())
    bounds = {(one.key, one.type): one for one in parent.constraints}
    for one in asked.constraints:
        both = met(bounds.get((one.key, one.type), one), one)
        bounds[(one.key, one.type)] = both if both is not None else bounds[(one.key, one.type)]
    scopes = draw(st.lists(st.sampled_from(parent.scopes), min_size=1, unique=True))
    return Authority(scopes=tuple(scopes), constraints=tuple(bounds.values()))
