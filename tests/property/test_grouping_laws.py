"""Laws of groups: nobody is lost, the order does not matter, and whatever is changed in one of many shows."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.approval.approval import Answer
from answerable.core.canonical import encode
from answerable.core.identity.names.principal import AgentId, PrincipalId
from answerable.flows.state.waiting_groups import WaitingGroups
from answerable.testing.clock import START
from tests.worlds.alike import groups_of, payment

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval

pytestmark = pytest.mark.requirement("GROUP-01")

SHARED: dict[str, Any] = {
    "tags": ["a", "b"],
    "meta": {"urgent": False, "level": 2, "from": {"desk": "north"}},
    "note": None,
}


@cache
def twenty(*, with_shared: bool) -> tuple[Approval, ...]:
    return tuple(payment(number, **(SHARED if with_shared else {})) for number in range(20))


@cache
def one_of(number: int, payee: str, amount: int, other: bool) -> Approval:
    return payment(number, payee=payee, amount=100 * amount, members={"tool": "2" * 64} if other else None)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=12),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=6), inside, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from([*SHARED, "payee", "extra"]), VALUES, st.integers(0, 19))
def test_whatever_one_of_twenty_has_otherwise_it_is_not_among_the_alike(
    name: str, value: Any, at: int
) -> None:
    usual = {**SHARED, "payee": "Acme GmbH"}.get(name)
    waiting = [*twenty(with_shared=True)]
    # What is not sent is what `None` says to this bench.
    if value is None or (usual is not None and encode(value) == encode(usual)):
        return
    waiting[at] = payment(at, **{**SHARED, name: value})
    found = groups_of(waiting)
    alike = [one.id for group in found.groups for one in group.alike]
    assert waiting[at].id not in alike
    assert len(alike) == 19


MEMBERS = ("tool", "purpose", "obligations", "use_case", "a later one")


@given(st.sampled_from(MEMBERS), VALUES.filter(lambda one: one not in (None, [], "")), st.integers(0, 19))
def test_no_member_that_is_not_listed_may_differ(name: str, value: Any, at: int) -> None:
    waiting = [*twenty(with_shared=False)]
    waiting[at] = payment(at, members={name: value})
    (group,) = groups_of(waiting).groups
    assert waiting[at].id not in [one.id for one in group.alike]
    assert len(group.alike) == 19


@given(
    st.lists(
        st.tuples(st.sampled_from(["Acme GmbH", "Mallory", "Bolt AG"]), st.integers(0, 3), st.booleans()),
        max_size=24,
    ),
    st.randoms(use_true_random=False),
)
def test_everybody_comes_back_once_and_the_order_does_not_matter(
    said: list[tuple[str, int, bool]], chance: Any
) -> None:
    waiting = [one_of(number, *one) for number, one in enumerate(said)]
    found = groups_of(waiting)
    shuffled = [*waiting]
    chance.shuffle(shuffled)
    assert groups_of(shuffled) == found
    back = [one.id for group in found.groups for one in group.all] + [one.id for one in found.alone]
    assert sorted(back) == sorted(one.id for one in waiting)
    for group in found.groups:
        assert set(group.features) == {one.id for one in group.alike}
        if not group.not_together:
            assert len({encode(one.action.thaw()["arguments"]["payee"]) for one in group.alike}) == 1


@cache
def seen_as(number: int, kind: str) -> Approval:
    """One that waits, as it is at some look: its kind is what is odd about it, if anything."""
    made: dict[str, Any] = {
        "usual": {},
        "answered": {},
        "other payee": {"payee": "Mallory"},
        "other tool": {"members": {"tool": "2" * 64}},
        "other agent's": {"members": {"agent": "rover"}},
        "noted": {"members": {"noted": ["asked before"]}},
        "more": {"cc": f"someone{number}@acme.example"},
        "too much": {f"a{at}": at for at in range(80)},
        "large": {"amount": 10**6},
    }
    one = payment(number, **made[kind])
    if kind == "answered":
        answer = Answer(
            by=PrincipalId("bob"), groups=("approvers",), verdict="approve", comment="", at=START, token="t"
        )
        return replace(one, answers=(answer,))
    return replace(one, agent=one.agent if kind != "other agent's" else AgentId("rover"))


KINDS = st.sampled_from(
    ["usual"] * 6
    + ["answered", "other payee", "other tool", "other agent's", "noted", "more", "too much", "large"]
)
LOOK = st.dictionaries(st.integers(0, 30), KINDS, max_size=31)


@given(st.lists(st.tuples(LOOK, LOOK, st.integers(0, 12)), min_size=1, max_size=6))
def test_whatever_waited_before_groups_are_those_of_what_waits_now(
    looks: list[tuple[dict[int, str], dict[int, str], int]],
) -> None:
    kept = WaitingGroups()
    for between, look, most in looks:
        kept.take_in(tuple(seen_as(number, kind) for number, kind in between.items()), most=most)
        waiting = tuple(seen_as(number, kind) for number, kind in look.items())
        assert kept.of(waiting) == groups_of(waiting)
        assert kept.of(waiting) == groups_of(reversed(waiting))
