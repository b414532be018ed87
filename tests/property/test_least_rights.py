"""Less of what is granted is never more, and never too little for what was done: for the grammars of two targets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.postgres_roles.rights import PostgresRights
from answerable.adapters.postgres_roles.scope import PostgresScope, scope_of
from answerable.adapters.redis_acl.commands import READING, WRITING
from answerable.adapters.redis_acl.grants import checked_grants
from answerable.adapters.redis_acl.rights import RedisRights
from answerable.core.canonical import freeze
from answerable.core.lease.scope import Scope, filled
from answerable.core.lease.use import DAY_MS, Needed, Used, UseTally, refusals, smaller
from answerable.targets.sql.scope import VERBS, ScopeLimits

NOW = 1_000 * DAY_MS
ENOUGH = Needed(actions=1, days=0)
LIMITS = ScopeLimits(databases=frozenset({"prod"}), rows_max=100, seconds_max=10)
NAMES = st.sampled_from(["customers", "orders", "notes", "{argument.table}"])
COLUMNS = st.lists(st.sampled_from(["id", "name", "body"]), min_size=1, max_size=3, unique=True)


@st.composite
def postgres_grants(draw: st.DrawFn) -> dict[str, Any]:
    tables = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        verbs = draw(st.lists(st.sampled_from(VERBS), min_size=1, max_size=4, unique=True))
        table: dict[str, Any] = {"name": f"public.{name}", "verbs": verbs}
        if verbs != ["delete"] and draw(st.booleans()):
            table["columns"] = draw(COLUMNS)
        if draw(st.booleans()):
            table["rows"] = {"column": "case_id", "equals": "{resource}"}
        tables.append(table)
    return {"database": "prod", "tables": tables, "sequences": ["public.one", "public.two"], "rowsMax": 5}


PLACES = st.one_of(
    st.fixed_dictionaries({"key": st.sampled_from(["a:1", "b:{resource}"])}),
    st.fixed_dictionaries({"prefix": st.sampled_from(["a:", "b:{resource}:"])}),
    st.fixed_dictionaries({"prefix": st.just("a:"), "suffix": st.just(":x")}),
)
KEYS = st.tuples(PLACES, st.sampled_from(["read", "write", "both"])).map(
    lambda one: {**one[0], "access": one[1]}
)
CHANNELS = st.sampled_from([{"channel": "c"}, {"prefix": "d:"}, {"channel": "{argument.channel}"}])
SOME = sorted(READING)[:4] + sorted(WRITING)[:4]


@st.composite
def redis_part(draw: st.DrawFn) -> dict[str, Any]:
    part: dict[str, Any] = {}
    if draw(st.booleans()):
        part["keys"] = draw(st.lists(KEYS, min_size=1, max_size=3))
        part["commands"] = draw(st.lists(st.sampled_from(SOME), min_size=1, max_size=4, unique=True))
    if not part or draw(st.booleans()):
        part["channels"] = draw(st.lists(CHANNELS, min_size=1, max_size=2))
    return part


@st.composite
def redis_grants(draw: st.DrawFn) -> dict[str, Any]:
    also = draw(st.lists(redis_part(), max_size=2))
    return {**draw(redis_part()), **({"also": also} if also else {})}


def used_by(rights: RedisRights, scope: Scope, call: tuple[str, dict[str, Any]]) -> Used:
    tool, arguments = call
    used = rights.used(scope, tool, arguments, None)
    assert used is not None
    return used


VALUES = {"resource": "7", "argument.table": "t", "argument.channel": "c7"}


def rights_and_uses(data: st.DataObject, kind: str) -> tuple[Any, dict[str, Any], list[Used]]:
    """A kind's rights, grants, and what actions used of them: as Redis tells, and whatever PostgreSQL may."""
    if kind == "redis":
        rights, grants = RedisRights(), data.draw(redis_grants())
        calls = data.draw(st.lists(redis_calls(), min_size=1, max_size=6))
        scope = filled(grants, VALUES)
        return rights, grants, [used_by(rights, scope, call) for call in calls]
    told, grants = PostgresRights(), data.draw(postgres_grants())
    places = [right.place for right in told.rights(grants) if right.is_told]
    some = st.frozensets(st.sampled_from(places), max_size=4)
    return told, grants, data.draw(st.lists(st.builds(Used, some, some), min_size=1, max_size=6))


@st.composite
def redis_calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    if draw(st.booleans()):
        return "publish", {"channel": draw(st.sampled_from(["c", "d:1", "c7"])), "message": "m"}
    keys = st.sampled_from(["a:1", "a:2:x", "b:7", "b:7:9", "zzz"])
    words = draw(st.lists(keys, min_size=1, max_size=2))
    return "command", {"command": draw(st.sampled_from(SOME)), "arguments": words}


@pytest.mark.requirement("RIGHTS-01", "RIGHTS-05", "RIGHTS-06")
@pytest.mark.parametrize("kind", ["postgres", "redis"])
@given(data=st.data())
def test_every_past_action_has_all_it_used_under_what_is_proposed(kind, data):
    rights, grants, done = rights_and_uses(data, kind)
    tally = UseTally()
    for one in done:
        tally.add(one, NOW - DAY_MS)
    before = rights.rights(grants)
    less = smaller(before, tally, ENOUGH, now=NOW)
    used = frozenset[str]().union(*(one.all for one in done))
    assert used <= {right.place for right in less.kept}
    narrowed = rights.narrowed(grants, [right.place for right in less.kept])
    if narrowed is None:
        assert not any(place.startswith("tables/") or kind == "redis" for place in used)
        return
    held = refusals(before, tally, rights.rights(narrowed))
    assert held.is_none
    assert held.added == (), "nothing is granted that was not"
    assert held.unknown == () or any("delete" in table["verbs"] for table in grants["tables"])
    if kind == "redis":
        # What was granted more than once may have been used in either place.
        assert {right.text for right in rights.rights(narrowed)} == {
            right.text for right in before if right.place in used
        }


@pytest.mark.requirement("RIGHTS-01")
@pytest.mark.parametrize("kind", ["postgres", "redis"])
@given(data=st.data())
def test_a_template_and_its_scopes_have_the_same_places_and_the_target_understands_what_is_left(kind, data):
    rights, grants, _ = rights_and_uses(data, kind)
    places = [right.place for right in rights.rights(grants)]
    assert [right.place for right in rights.rights(filled(grants, VALUES).thaw())] == places
    assert len(set(places)) == len(places)
    assert rights.rights(rights.narrowed(grants, places)) == rights.rights(grants)
    narrowed = rights.narrowed(grants, data.draw(st.sets(st.sampled_from(places))))
    if narrowed is None:
        return
    made = filled(narrowed, VALUES)
    if kind == "redis":
        assert checked_grants(made)[1] == ()
        return
    understood, whole = scope_of(made.thaw(), LIMITS), scope_of(filled(grants, VALUES).thaw(), LIMITS)
    assert isinstance(understood, PostgresScope), understood
    assert isinstance(whole, PostgresScope)
    assert let_by(understood) <= let_by(whole)


def let_by(scope: PostgresScope) -> set[tuple[str, ...]]:
    """Table, verb, columns and rows; deleting knows no columns."""
    return {
        (str(one.table), verb, *(one.columns if verb != "delete" else ()), str(one.rows))
        for one in scope.tables
        for verb in one.verbs
    } | {(str(one),) for one in scope.sequences}


@pytest.mark.requirement("RIGHTS-02")
@given(grants=redis_grants(), call=redis_calls())
def test_a_command_of_redis_finds_all_it_needs_in_what_it_is_said_to_have_used(grants, call):
    rights, scope = RedisRights(), filled(grants, VALUES)
    used = used_by(rights, scope, call)
    less = rights.narrowed(scope.thaw(), used.all)
    if less is not None:
        again = used_by(rights, freeze(less), call)
        assert {right.place for right in rights.rights(less)} == again.all, (
            "nothing is left that it would not use"
        )
        assert len(again.all) == len(used.all)
