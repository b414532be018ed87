"""Laws of mandates: a caveat only restricts, the wire keeps what was said, and nothing else gets through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.caveat import (
    TAGS,
    ArgumentAtMost,
    ArgumentEquals,
    Attempt,
    EnvironmentIs,
    ResourceIn,
    from_wire,
    to_wire,
)
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms, covers_any, shortfall
from answerable.core.mandate.preview import preview
from answerable.core.mandate.template import filled
from answerable.core.mandate.token import MANDATE, claims_of, signed, terms_of, verify_mandate
from answerable.core.registry.documents.documents import GrantTemplate, MandateTemplate, TemplateParameter
from answerable.core.registry.documents.placeholders import replaced
from answerable.errors import Malformed, Unverified
from answerable.sdk.signing import signed_mandate
from answerable.testing.clock import START
from answerable.testing.samples import AUDIENCE, signing_key

# Few values, so that attempts and mandates meet.
NAMES = st.sampled_from(["crm.read", "crm.refund", "volume.delete"])
IDS = st.sampled_from(["4711", "4712", "pg-main", ""])
ARGUMENTS = st.sampled_from(["amount", "case", "force"])
INTEGERS = st.integers(-3, 3)
VALUES = st.one_of(st.sampled_from(["", "a", "1"]), INTEGERS, st.booleans())
ENVIRONMENTS = st.sampled_from(["production", "staging"])

CAVEATS = st.one_of(
    st.builds(ResourceIn, ids=st.lists(IDS, min_size=1, max_size=3).map(tuple)),
    st.builds(ArgumentEquals, name=ARGUMENTS, value=VALUES),
    st.builds(ArgumentAtMost, name=ARGUMENTS, maximum=INTEGERS),
    st.builds(EnvironmentIs, environment=ENVIRONMENTS),
)
GRANTS = st.builds(Grant, capability=NAMES, caveats=st.lists(CAVEATS, max_size=3).map(tuple))
PURPOSES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40).filter(
    str.isprintable
)
TERMS = st.builds(
    MandateTerms,
    id=st.just(MandateId("m-1")),
    principal=st.just(PrincipalId("alice")),
    agent=st.just(AgentId("scout")),
    use_case=st.just("support"),
    purpose=PURPOSES,
    grants=st.lists(GRANTS, min_size=1, max_size=3).map(tuple),
    caveats=st.lists(CAVEATS, max_size=2).map(tuple),
    calls_max=st.integers(1, 1000),
    not_before=st.just(START),
    expires_at=st.integers(1, 90 * 86_400_000).map(lambda millis: UnixMillis(START + millis)),
)
ATTEMPTS = st.builds(
    Attempt,
    capability=NAMES,
    environment=ENVIRONMENTS,
    resource_type=st.just("Case"),
    resource_id=IDS,
    arguments=st.dictionaries(ARGUMENTS, st.one_of(VALUES, st.floats(-3, 3), st.none())),
)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(-1e9, 1e9),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def covers(terms: MandateTerms, attempt: Attempt) -> bool:
    mandate = signed(terms, "not looked at here")
    return shortfall(mandate, attempt=attempt, state="open", calls_used=0, now=START) is None


def verified(token: str) -> MandateTerms:
    keys = {"alice": (signing_key("alice").public,)}
    return verify_mandate(token, keys_of=lambda name: keys.get(name, ()), audience=AUDIENCE)


@pytest.mark.requirement("MANDATE-03")
@given(TERMS, CAVEATS, ATTEMPTS, st.data())
def test_adding_a_caveat_never_widens(
    terms: MandateTerms, caveat: Any, attempt: Attempt, data: st.DataObject
) -> None:
    which = data.draw(st.integers(0, len(terms.grants) - 1))
    grant = terms.grants[which]
    narrower_grant = replace(grant, caveats=(*grant.caveats, caveat))
    grants = (*terms.grants[:which], narrower_grant, *terms.grants[which + 1 :])
    for narrower in (replace(terms, caveats=(*terms.caveats, caveat)), replace(terms, grants=grants)):
        assert not covers(narrower, attempt) or covers(terms, attempt)


@pytest.mark.requirement("MANDATE-03")
@given(TERMS, ATTEMPTS)
def test_what_is_covered_is_covered_by_one_grant_alone(terms: MandateTerms, attempt: Attempt) -> None:
    alone = [covers(replace(terms, grants=(grant,)), attempt) for grant in terms.grants]
    assert covers(terms, attempt) is any(alone)


@pytest.mark.requirement("MANDATE-03")
@given(TERMS, ATTEMPTS, ATTEMPTS)
def test_a_mandate_said_to_cover_any_action_of_a_capability_covers_each(
    terms: MandateTerms, one: Attempt, other: Attempt
) -> None:
    like_one = structs.replace(one, resource_id=other.resource_id, arguments=other.arguments)
    mandate = signed(terms, "not looked at here")
    assert not covers_any(mandate, one) or covers(terms, like_one)
    bare = replace(terms, caveats=(), grants=tuple(replace(grant, caveats=()) for grant in terms.grants))
    assert covers_any(signed(bare, "nor here"), one) is covers(bare, one)


@pytest.mark.requirement("MANDATE-04")
@given(TERMS)
def test_terms_survive_the_wire_and_the_signature_unchanged(terms: MandateTerms) -> None:
    claims = parse(encode(claims_of(terms, audience=AUDIENCE)))
    assert isinstance(claims, dict)
    assert terms_of(claims) == terms
    token = signed_mandate(terms, audience=AUDIENCE, key=signing_key("alice"))
    assert verified(token) == signed(terms, token)


@pytest.mark.requirement("MANDATE-04")
@given(TERMS, st.data())
def test_a_changed_character_does_not_verify(terms: MandateTerms, data: st.DataObject) -> None:
    token = signed_mandate(terms, audience=AUDIENCE, key=signing_key("alice"))
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != token[at]))
    with pytest.raises((Malformed, Unverified)):
        verified(token[:at] + other + token[at + 1 :])


@pytest.mark.requirement("MANDATE-02")
@given(CAVEATS)
def test_caveats_survive_the_wire(caveat: Any) -> None:
    wire = parse(encode(to_wire(caveat)))
    assert from_wire(wire) == caveat
    assert type(from_wire(wire)) is type(caveat)


@pytest.mark.requirement("MANDATE-02")
@given(st.integers(-(2**53) + 1, 2**53 - 1).filter(lambda tag: tag not in TAGS), st.lists(JSON, max_size=3))
def test_unknown_tags_refuse(tag: int, fields: list[Any]) -> None:
    with pytest.raises(Malformed) as raised:
        from_wire([tag, *fields])
    assert raised.value.code == "caveat.unknown"


@pytest.mark.requirement("MANDATE-02")
@given(JSON)
def test_whatever_is_sent_as_a_caveat_is_read_one_way_or_refused(wire: Any) -> None:
    try:
        caveat = from_wire(wire)
    except Malformed:
        return
    assert encode(to_wire(caveat)) == encode(wire)


@pytest.mark.requirement("MANDATE-02")
@given(st.dictionaries(st.sampled_from([*(one.name for one in MANDATE.table() if one.needed), "exp"]), JSON))
def test_whatever_is_sent_as_claims_is_refused_as_malformed(claims: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        terms_of(claims)


@pytest.mark.requirement("MANDATE-02")
@given(st.text(max_size=200))
def test_whatever_is_sent_as_a_token_is_refused(token: str) -> None:
    with pytest.raises((Malformed, Unverified)):
        verified(token)


@pytest.mark.requirement("MANDATE-05")
@given(st.text(max_size=30), st.text(max_size=30), ATTEMPTS)
def test_no_value_widens_what_a_templates_grants_name(first: str, second: str, attempt: Attempt) -> None:
    template = MandateTemplate(
        name="t",
        use_case="support",
        agent=AgentId("scout"),
        purpose="for {first}",
        grants=(GrantTemplate(capability="crm.read", resources=("{first}", "x-{second}")),),
        parameters=(
            TemplateParameter(name="first", pattern="[a-z0-9{}]+"),
            TemplateParameter(name="second", pattern=".*"),
        ),
        calls_max=1,
        ttl_seconds=60,
    )
    values = {"first": first, "second": second}
    try:
        terms = filled(template, values, principal=PrincipalId("alice"), id=MandateId("m-1"), now=START)
    except Malformed:
        return
    assert set(first) <= set("abcdefghijklmnopqrstuvwxyz0123456789{}")
    assert terms.purpose == f"for {first}"
    assert terms.grants[0].caveats == (ResourceIn(ids=tuple(dict.fromkeys((first, f"x-{second}")))),)
    if covers(terms, attempt):
        assert attempt.capability == "crm.read"
        assert attempt.resource_id in (first, f"x-{second}")


@pytest.mark.requirement("MANDATE-05")
@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text(), min_size=2))
def test_replacement_is_one_pass(values: dict[str, str]) -> None:
    assert replaced("{a}|{b}|{a}", values) == f"{values['a']}|{values['b']}|{values['a']}"


@pytest.mark.requirement("MANDATE-05")
@given(TERMS)
def test_a_preview_says_each_capability_and_each_value_of_each_caveat(terms: MandateTerms) -> None:
    lines = preview(terms)
    said = " ".join(lines)
    assert all(line.isprintable() for line in lines)
    for grant in terms.grants:
        assert f"`{grant.capability}`" in said
        for caveat in grant.caveats:
            if isinstance(caveat, ResourceIn):
                assert all(f"`{resource}`" in said for resource in caveat.ids)
