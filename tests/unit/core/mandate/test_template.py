"""From a template and a person's values to the terms of a mandate, and what is said about them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.names.principal import PrincipalId
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
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.left_out import LeftOut, left_out
from answerable.core.mandate.mandate import Grant, MandateId
from answerable.core.mandate.preview import preview
from answerable.core.mandate.template import filled
from answerable.core.registry.documents.documents import GrantTemplate, TemplateParameter
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.parsing.parse import shapes_of
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.samples import mandate_terms, registry_documents

TEMPLATE = snapshot_of(registry_documents()).templates["one-case"]


def fill(template=TEMPLATE, **values):
    return filled(template, values, principal="alice", id=MandateId("m-1"), now=START)


def typed(kind, written="{v}", pattern=".*"):
    return replace(
        TEMPLATE,
        purpose="x",
        parameters=(TemplateParameter(name="v", pattern=pattern, type=kind),),
        grants=(GrantTemplate(capability="crm.refund", arguments=(("a", written), ("b", 7), ("c", True))),),
    )


def test_a_filled_template_grants_what_it_names_for_its_time():
    terms = fill(case="4711")
    case = ResourceIn(ids=("4711",))
    assert terms.purpose == "Answer case 4711"
    assert terms.grants == (
        Grant(capability="crm.read", caveats=(case,)),
        Grant(capability="crm.refund", caveats=(case, ArgumentAtMost(name="amount", maximum=5000))),
    )
    assert terms.caveats == (EnvironmentIs(environment="production"),)
    assert (terms.calls_max, terms.not_before, terms.expires_at) == (20, START, START + 3_600_000)
    assert (terms.principal, terms.agent, terms.use_case) == ("alice", "scout", "support")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "give a value for `case` of template `one-case`"),
        ({"case": "4711", "csae": "1"}, "has no parameter `csae`; did you mean `case`?"),
        ({"case": "47111"}, "`case` is `47111`, which does not match `[0-9]{4}`: give one that does"),
        ({"case": "x4711"}, "does not match"),
        ({"case": "4711\n"}, "printable"),
        ({"case": ""}, "give `case` 1 to 200 printable characters"),
        ({"case": "4" * 201}, "give `case` 1 to 200"),
    ],
)
def test_a_value_that_does_not_fit_is_told_what_to_change(values, says):
    with pytest.raises(Malformed) as raised:
        fill(**values)
    assert raised.value.code == "template.parameter"
    assert says in raised.value.message


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "12", "12"),
        ("integer", "12", 12),
        ("integer", "-12", -12),
        ("minor_units", "0", 0),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("decimal", "12.50", "12.50"),
    ],
)
def test_a_lone_placeholder_takes_its_parameters_type_and_the_rest_stays_as_written(kind, text, value):
    (grant,) = fill(typed(kind), v=text).grants
    found = [(caveat.name, caveat.value) for caveat in grant.caveats if isinstance(caveat, ArgumentEquals)]
    assert found == [("a", value), ("b", 7), ("c", True)]
    assert type(found[0][1]) is type(value)


def test_a_placeholder_among_other_text_gives_text():
    (grant,) = fill(typed("integer", written="n-{v}"), v="12").grants
    assert grant.caveats[0] == ArgumentEquals(name="a", value="n-12")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "012"),
        ("integer", "1e3"),
        ("integer", "1.0"),
        ("integer", "9007199254740992"),
        ("integer", "-0"),
        ("integer", "٣"),
        ("minor_units", "+1"),
        ("boolean", "True"),
        ("decimal", "1"),
        ("decimal", "1.23456"),
    ],
)
def test_a_value_of_another_type_is_refused_even_where_the_pattern_lets_it_in(kind, text):
    with pytest.raises(Malformed, match="give "):
        fill(typed(kind), v=text)


def test_a_value_brings_in_no_placeholder_of_its_own():
    template = replace(
        TEMPLATE,
        purpose="{a} {b}",
        parameters=tuple(TemplateParameter(name=name, pattern=".*") for name in "ab"),
        grants=(GrantTemplate(capability="crm.read", resources=("{a}", "{b}", "{a}")),),
    )
    terms = fill(template, a="{b}", b="2")
    assert terms.purpose == "{b} 2"
    assert terms.grants[0].caveats == (ResourceIn(ids=("{b}", "2")),)


def test_without_an_environment_a_template_limits_to_none():
    assert fill(replace(TEMPLATE, environment=""), case="4711").caveats == ()


@pytest.mark.requirement("MISSION-07")
def test_a_preview_says_every_grant_caveat_and_limit():
    assert preview(fill(case="4711"), titles={"crm.read": "read a case"}) == (
        "Agent `scout` gets this task from alice: Answer case 4711.",
        "It can read a case (`crm.read`), only on `4711`.",
        "It can use `crm.refund`, only on `4711` and only with `amount` at most 5000.",
        "All of it only in environment `production`.",
        "It can start 20 actions in all, from 2026-11-18 11:06:40 UTC until 2026-11-18 12:06:40 UTC; then, or once "
        "you close it, nothing.",
        "It cannot hand this task on.",
        "It cannot use any other capability, and policy can still refuse or ask for an approval.",
    )


@pytest.mark.requirement("MISSION-07")
def test_a_preview_names_what_is_not_limited():
    free = Grant(capability="crm.read")
    exact = Grant(
        capability="crm.refund",
        caveats=(ArgumentEquals(name="a", value=True), ArgumentEquals(name="b", value="x")),
    )
    lines = preview(replace(mandate_terms(), grants=(free, exact), calls_max=1))
    assert lines[1] == "It can use `crm.read`, on anything and with any arguments."
    assert (
        lines[2]
        == "It can use `crm.refund`, only with `a` exactly `true` and only with `b` exactly `x`, on anything."
    )
    assert "1 action in all" in lines[3]
    assert lines[-1] == "It is not limited to one environment."


@pytest.mark.requirement("MISSION-07")
def test_a_preview_says_how_far_it_may_be_handed_on_and_what_it_cannot():
    terms = replace(
        mandate_terms(),
        delegability=Delegability(
            depth_max=2, width_max=3, to=("agent:writer", "use_case:research", "group:team")
        ),
        caveats=(
            SensitivityAtMost(ceiling="internal"),
            KindIn(kinds=("read", "write", "pay")),
            SystemIn(servers=("crm", "mail")),
            DestinationIn(type="email", allowed=("example.com", "ada@x.test")),
        ),
    )
    beside = LeftOut(capabilities=("crm.delete", "crm.refund"), environments=("lab", "staging"))
    lines = preview(terms, titles={"crm.refund": "refund a customer"}, beside=beside)
    assert lines[2:6] == (
        "All of it only with data that is internal at most.",
        "All of it only to read, write or pay.",
        "All of it only on system `crm`, `mail`.",
        "All of it only by mail to `example.com`, `ada@x.test`.",
    )
    assert lines[7:10] == (
        "It may hand parts of it on, two levels deep, to at most 3 agents each, only to `writer`, agents of use case "
        "`research`, agents whose owner is in `team`.",
        "It cannot use `crm.delete` or refund a customer (`crm.refund`).",
        "It cannot act in `lab` or `staging`.",
    )


def test_of_much_that_is_left_out_a_preview_says_how_much():
    beside = LeftOut(capabilities=tuple(f"c{n}" for n in range(15)))
    assert preview(mandate_terms(), beside=beside)[4].endswith("use `c11` or 3 more.")


def test_a_preview_names_schedule_and_application():
    scheduled = replace(mandate_terms(), principal=PrincipalId("schedule:nightly"))
    assert preview(scheduled)[0].startswith("Agent `scout` gets this task from schedule nightly: ")
    through = replace(mandate_terms(), application="portal")
    assert "from alice, through application portal: " in preview(through)[0]


def test_what_is_left_out_is_on_the_same_systems_and_elsewhere():
    capabilities = {
        found.name: found.noun
        for found in shapes_of(registry_documents()).nouns
        if found.kind == "Capability"
    }
    far = replace(capabilities["crm.read"], name="far.read", server="far", environment="staging")
    found = left_out(mandate_terms(), {**capabilities, "far.read": far})
    assert found == LeftOut(capabilities=("crm.refund",), environments=("staging",))


@pytest.mark.requirement("BUDGET-06")
def test_whoever_signs_reads_each_budget_as_a_sentence():
    budgets = (
        ("bytes", 10), ("money:EUR", 1234567), ("money:JPY", 1200), ("money:KWD", 5), ("money:XTS", 7),
        ("rows", 3), ("tokens", 4), ("wall_ms", 60_000),
    )  # fmt: skip
    lines = preview(replace(mandate_terms(), budgets=budgets))
    said = [line.partition(" in all; then it starts nothing more.")[0] for line in lines if "at most" in line]
    assert said == [
        "It can receive at most 10 bytes of answers",
        "It can spend at most 1234567 minor units of EUR (12,345.67 EUR)",
        "It can spend at most 1200 minor units of JPY (1,200 JPY)",
        "It can spend at most 5 minor units of KWD (0.005 KWD)",
        "It can spend at most 7 minor units of XTS",
        "It can read or write at most 3 rows",
        "It can use at most 4 tokens of language models",
        "It can take at most 60000 milliseconds of upstream time",
    ]


@pytest.mark.requirement("NEIGHBOUR-17")
@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*b", "([a-z]+)*@x", "(?=(a+)+$)a+", ".*.*.*.*.*.*.*.*b"])
def test_a_pattern_that_backtracks_for_ever_is_cut_short(pattern):
    with pytest.raises(Malformed, match="does not match"):
        fill(typed("string", pattern=pattern), v="a" * 199 + "!")


@pytest.mark.requirement("NEIGHBOUR-17")
@pytest.mark.parametrize("pattern", [r"a\Z", "(?P<x>a)(?P=x)", "((a{1,1000}){1,1000}){1,1000}"])
def test_a_pattern_that_cannot_be_matched_in_bounded_time_says_how_to_write_it(pattern):
    with pytest.raises(Malformed, match="not a regular expression as JSON Schema has them: write it without"):
        fill(typed("string", pattern=pattern), v="a")


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("a|bc", "bc", True),
        ("a|bc", "ac", False),
        (r"\d+", "\u0663", False),
        (r"\p{L}+", "Ä", True),
        ("(?i)ab", "AB", True),
    ],
)
def test_the_whole_value_matches_the_pattern_as_json_schema_has_it(pattern, value, fits):
    if fits:
        assert fill(typed("string", pattern=pattern), v=value).grants
    else:
        with pytest.raises(Malformed, match="does not match"):
            fill(typed("string", pattern=pattern), v=value)
