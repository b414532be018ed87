"""Authorities: what they name, what they are about, what a mandate makes of them, and when one is narrower."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.canonical import JSONValue
from answerable.core.mandate.attenuation import meet, narrower
from answerable.core.mandate.authority import (
    Authority,
    authority_in,
    authority_of,
    detail_of,
    failure,
    limits_of,
)
from answerable.core.mandate.caveat import (
    ArgumentAtMost,
    ArgumentEquals,
    DestinationIn,
    EnvironmentIs,
    KindIn,
    ResourceIn,
    SensitivityAtMost,
    SystemIn,
)
from answerable.core.mandate.constraint import (
    Max,
    MaxLifetime,
    MaxSubtree,
    NotOneOf,
    OneOf,
    Prefix,
    Rank,
    from_wire,
)
from answerable.core.mandate.mandate import Grant
from answerable.core.mandate.scope import checked_scope, covers, is_wildcard
from answerable.errors import Malformed
from answerable.testing.delegation import refund
from answerable.testing.samples import mandate_terms


def only(*constraints, scopes=("crm.refund",)):
    return Authority(scopes=scopes, constraints=constraints)


@pytest.mark.parametrize(
    "text", ["crm.read", "crm.*", "crm.admin.*", "ping", "User.Read", "repo:status", "2fa", "a..b"]
)
def test_literal_wildcard_and_opaque_names_are_scopes(text):
    assert checked_scope(text) == text


@pytest.mark.parametrize(
    "text", ["", "*", "crm.*.read", "User.*", "crm.read\n", "a b", 'a"b', "a\\b", "é", "x" * 257, "*.read"]
)
def test_what_has_none_of_the_three_forms_is_no_scope(text):
    with pytest.raises(Malformed) as raised:
        checked_scope(text)
    assert raised.value.code == "delegation.malformed"


def test_a_wildcard_covers_what_is_below_its_dot():
    assert is_wildcard("crm.*")
    assert covers("crm.*", "crm.read")
    assert covers("crm.*", "crm.admin.*")
    assert covers("crm.*", "crm.*")
    assert not covers("crm.*", "crm")
    assert not covers("crm.*", "crmx.read")
    assert not covers("crm.*", "crm.Read")
    assert not covers("crm.read", "crm.*")
    assert not covers("crm.admin.*", "crm.*")


def test_an_authority_has_one_order_and_no_repetition():
    one = only(Max(key="b", bound=1), Max(key="a", bound=1), scopes=("files.read", "crm.*"))
    assert one.scopes == ("crm.*", "files.read")
    assert [bound.key for bound in one.constraints] == ["a", "b"]
    for wrong in (
        lambda: only(scopes=()),
        lambda: only(scopes=("a.b", "a.b")),
        lambda: only(scopes=tuple(f"a.b{n}" for n in range(65))),
        lambda: only(Max(key="a", bound=1), Max(key="a", bound=2)),
        lambda: only(*(Max(key=f"a{n}", bound=1) for n in range(513))),
        lambda: only(Max(key="", bound=1)),
    ):
        with pytest.raises(Malformed):
            wrong()


def test_a_detail_is_closed():
    detail = detail_of(only(Max(key="calls", bound=1)))
    assert authority_in(detail) == only(Max(key="calls", bound=1))
    without = {name: detail[name] for name in detail if name != "constraints"}
    assert authority_in(without) == only()
    wrongs: tuple[JSONValue, ...] = (
        None,
        [],
        {**detail, "type": "other"},
        {**detail, "actions": []},
        {**detail, "scopes": None},
    )
    for wrong in wrongs:
        with pytest.raises(Malformed):
            authority_in(wrong)


FACTS: dict[str, str | int] = {
    "argument:crm.refund:amount": 100,
    "resource:crm.refund": "4711",
    "environment": "production",
    "environment:crm.refund": "production",
    "sensitivity": "public",
    "kind": "pay",
    "system": "crm",
    "system:crm.refund": "crm",
    "destination": "host:bank.test",
}
ATTEMPT = refund(kind="pay", server="crm", destination_type="host", destinations=("bank.test",))


@pytest.mark.parametrize("key", FACTS)
def test_each_key_is_about_its_fact(key):
    assert failure(only(OneOf(key=key, members=(FACTS[key],))), ATTEMPT) is None
    refused = failure(only(OneOf(key=key, members=("elsewhere",))), ATTEMPT)
    assert refused is not None
    assert refused.code == "delegation.ceiling_exceeded"
    assert refused.text.startswith(f"allows `{key}` `elsewhere` only, got ")


@pytest.mark.parametrize(
    "key", ["resource:crm.read", "environment:crm.read", "argument:crm.read:amount", "destination:crm.read"]
)
def test_a_bound_on_another_capability_is_not_about_this_one(key):
    assert failure(only(OneOf(key=key, members=())), ATTEMPT) is None


@pytest.mark.parametrize(
    "key",
    [
        "tempo",
        "resource",
        "resource:",
        "argument",
        "argument:crm.refund",
        "argument:crm.refund:",
        "argument::amount",
        "environment:",
        "environment:a:b",
        "calls:crm.refund",
        "money:eur",
        "money:",
        "Calls",
    ],
)
def test_a_key_that_is_not_known_refuses(key):
    refused = failure(only(NotOneOf(key=key, members=())), ATTEMPT, reserved=(key,))
    assert refused is not None
    assert refused.code == "delegation.unknown_constraint"


def test_facts_that_are_not_there_refuse_and_every_destination_counts():
    bare = refund(sensitivity="")
    for key in ("sensitivity", "kind", "system", "destination", "argument:crm.refund:note"):
        assert failure(only(NotOneOf(key=key, members=())), bare) is not None
    two = refund(destination_type="host", destinations=("bank.test", "evil.test"))
    assert failure(only(OneOf(key="destination", members=("host:bank.test",))), two) is not None
    assert failure(only(OneOf(key="destination", members=("host:bank.test", "host:evil.test"))), two) is None


def test_a_mail_address_lies_in_its_domain_and_in_none_above():
    mail = refund(destination_type="email", destinations=("ada@x.test",))
    for members, permitted in (
        (("email:x.test",), True),
        (("email:ada@x.test",), True),
        (("email:bob@x.test",), False),
        (("email:test",), False),
        (("host:x.test",), False),
    ):
        assert (failure(only(OneOf(key="destination", members=members)), mail) is None) is permitted
    for members, permitted in (
        (("email:x.test",), False),
        (("email:ada@x.test",), False),
        (("email:y.test",), True),
    ):
        assert (failure(only(NotOneOf(key="destination", members=members)), mail) is None) is permitted


def test_a_sum_is_never_taken_for_granted():
    for bound in (MaxSubtree(key="calls", bound=5), MaxLifetime(key="calls", bound=5)):
        assert failure(only(bound), ATTEMPT) is not None
        assert failure(only(bound), ATTEMPT, reserved=("rows",)) is not None
        assert failure(only(bound), ATTEMPT, reserved=("calls",)) is None
    assert failure(only(Max(key="rows", bound=5)), ATTEMPT, reserved=("rows",)) is not None
    assert failure(only(from_wire({"key": "calls", "novel": 5})), ATTEMPT, reserved=("calls",)) is not None


def test_limits_are_the_smaller_of_both_sums_in_whole_units():
    made = only(
        MaxSubtree(key="calls", bound=5),
        MaxLifetime(key="calls", bound=3),
        MaxSubtree(key="rows", bound=7.9),
        Max(key="bytes", bound=1),
    )
    assert limits_of(made) == {"calls": 3, "rows": 7}


def test_a_scope_that_is_not_there_is_named():
    refused = failure(only(scopes=("crm.read",)), ATTEMPT)
    assert refused is not None
    assert (refused.code, refused.text) == ("delegation.scope_not_granted", "does not include `crm.refund`")


def terms(*grants, caveats=(), **changes):
    return replace(mandate_terms(), grants=grants, caveats=caveats, **changes)


def test_the_authority_of_a_mandate_has_a_bound_for_every_caveat_and_budget():
    made = authority_of(
        terms(
            Grant(
                capability="crm.refund",
                caveats=(
                    ResourceIn(ids=("4711", "4711")),
                    ArgumentEquals(name="note", value="x"),
                    ArgumentAtMost(name="amount", maximum=5),
                    ArgumentAtMost(name="amount", maximum=3),
                    KindIn(kinds=("pay", "pay")),
                ),
            ),
            Grant(capability="files.read"),
            caveats=(
                EnvironmentIs(environment="production"),
                SensitivityAtMost(ceiling="internal"),
                DestinationIn(type="email", allowed=("x.test", "x.test")),
                SystemIn(servers=("crm", "crm")),
            ),
            calls_max=7,
            budgets=(("rows", 9),),
        )
    )
    order = ("public", "internal", "confidential", "restricted")
    assert made == Authority(
        scopes=("crm.refund", "files.read"),
        constraints=(
            OneOf(key="resource:crm.refund", members=("4711",)),
            OneOf(key="argument:crm.refund:note", members=("x",)),
            Max(key="argument:crm.refund:amount", bound=3),
            OneOf(key="kind:crm.refund", members=("pay",)),
            OneOf(key="environment", members=("production",)),
            Rank(key="sensitivity", rank="internal", order=order),
            OneOf(key="destination", members=("email:x.test",)),
            OneOf(key="system", members=("crm",)),
            MaxSubtree(key="calls", bound=7),
            MaxSubtree(key="rows", bound=9),
        ),
    )


def test_two_grants_of_one_capability_are_not_handed_on():
    with pytest.raises(Malformed, match="merge the two grants") as raised:
        authority_of(terms(Grant(capability="crm.read"), Grant(capability="crm.read")))
    assert raised.value.code == "delegation.ambiguous_grant"


def test_two_caveats_with_nothing_in_common_permit_nothing():
    made = authority_of(
        terms(Grant(capability="crm.refund", caveats=(ResourceIn(ids=("1",)), ResourceIn(ids=("2",)))))
    )
    assert OneOf(key="resource:crm.refund", members=()) in made.constraints


def test_what_is_wider_is_named():
    parent = only(Max(key="k", bound=5), Prefix(key="p", prefix="a"), scopes=("crm.*",))
    assert narrower(parent, parent) is None
    assert narrower(only(*parent.constraints, scopes=("pay.all",)), parent) == (
        "includes `pay.all`, which its parent does not"
    )
    assert narrower(only(Max(key="k", bound=5), scopes=("crm.*",)), parent) == (
        "drops its parent's `prefix` bound on `p`"
    )
    assert narrower(only(Max(key="k", bound=6), Prefix(key="p", prefix="a"), scopes=("crm.*",)), parent) == (
        "loosens its parent's `max` bound on `k`"
    )


def test_a_meet_has_the_scopes_of_both_and_the_bounds_of_either():
    parent = only(Max(key="k", bound=5), scopes=("crm.*", "files.read"))
    asked = only(Max(key="k", bound=9), Max(key="j", bound=1), scopes=("crm.read", "files.*", "pay.all"))
    assert meet(parent, asked) == only(
        Max(key="k", bound=5), Max(key="j", bound=1), scopes=("crm.read", "files.read")
    )
    for other in (only(scopes=("pay.all",)), only(Prefix(key="k", prefix="a"), scopes=("crm.read",))):
        with pytest.raises(Malformed) as raised:
            meet(only(Prefix(key="k", prefix="b"), scopes=("crm.*",)), other)
        assert raised.value.code == "delegation.nothing_in_common"
