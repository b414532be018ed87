"""Selectors, evidence and the choice of an agent."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.attestation import (
    RegistrationEntry,
    checked_evidence,
    checked_selector,
    fits_every_user,
    matching_agent,
    possession_message,
    selector,
)
from answerable.errors import Malformed, Refused, Unverified

GOOD = (
    "unix:uid:0", "unix:gid:1000", "unix:path:/usr/bin/x y:z", "unix:cgroup:/", "unix:sha256:" + "a" * 64,
    "join_token:name:first", "join_token:agent:biller", "oidc:iss:https://issuer.test", "oidc:sub:a:b",
    "oidc:aud:x", "oidc:claim.groups:ops", "oidc:claim.a.b-c_D:x", "k8s:ns:prod", "k8s:sa:biller",
    "github:repository:acme/x", "github:ref:refs/heads/main", "x509_pop:ca_sha256:" + "0" * 64,
    "x509_pop:cn:host 1", "x509_pop:san_uri:spiffe://a/b", "x509_pop:serial:4711", "ssh:host:h.example",
    "ssh:ca:SHA256:" + "A" * 43, "ssh:key:SHA256:" + "+" * 43, "spiffe:id:spiffe://a/b", "mtls:sha256:" + "f" * 64,
    "spiffe:under:spiffe://a", "aws:tag.team:a:b", "aws:account:123456789012", "github:ref_protected:true",
    "gcp:instance:p/z/n", "azure:role:A B", "k8s:node_uid:7a0e",
)  # fmt: skip
BAD = (
    "", "unix", "unix:uid", "unix:uid:", "unix:uid:01", "unix:uid:-1", "unix:uid:1 ", "unix:uid:١", "UNIX:uid:1",
    "unix:path:bin", "unix:sha256:" + "A" * 64, "unix:sha256:" + "a" * 63, "unix:path:/a\n", "unix:path:/a\x00",
    "unix:name:x", "oidc:claim.:x", "oidc:claim.a/b:x", "oidc:claim:x", "k8s:ns:Prod", "k8s:ns:a:b",
    "x509_pop:cn: x", "ssh:ca:MD5:00", "ssh:key:SHA256:" + "A" * 44, "spiffe:id:https://x", "mtls:sha256:x",
    "spiffe:under:a/b", "aws:tag.:x", "aws:tag.a/b:x", "aws:account:x", "github:ref_protected:yes", "azure:tenant:A B",
    "oidc:sub:" + "x" * 512, "oidc:sub:x\u2028y", "tpm:x:y",
)  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_selector_of_a_known_kind_is_taken_as_it_is(text):
    assert checked_selector(text) == text


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_selector_is_refused(text):
    with pytest.raises(Malformed) as told:
        checked_selector(text)
    assert told.value.code == "attestation.selector"


def test_a_value_that_cannot_be_written_is_left_out_not_cut():
    assert selector("unix", "uid", 7) == ("unix:uid:7",)
    assert selector("oidc", "sub", "x" * 600) == ()


def entry(agent: str, *selectors: str) -> RegistrationEntry:
    return RegistrationEntry(agent=AgentId(agent), selectors=frozenset(selectors))


U, P, G = "unix:uid:1", "unix:cgroup:/a", "unix:gid:1"


@pytest.mark.parametrize(
    ("entries", "measured", "expected"),
    [
        ((), (U,), None),
        ((entry("a"),), (U,), None),
        ((entry("a", U),), (), None),
        ((entry("a", U, P),), (U,), None),
        ((entry("a", U),), (U, P), "a"),
        ((entry("a", U), entry("b", U, P)), (U, P), "b"),
        ((entry("b", U, P), entry("a", U)), (U, P, G), "b"),
        ((entry("a", U), entry("a", P)), (U, P), "a"),
        ((entry("a", U), entry("a", P), entry("b", U, P)), (U, P), "b"),
    ],
)
def test_the_most_specific_entry_wins(entries, measured, expected):
    assert matching_agent(entries, measured) == expected


@pytest.mark.parametrize(
    "entries",
    [
        (entry("a", U), entry("b", U)),
        (entry("a", U, P), entry("b", P, U)),
        (entry("a", U), entry("b", P)),
        (entry("a", U, P), entry("b", U), entry("c", G)),
        (entry("a", U), entry("a", P), entry("b", G, U)),
    ],
)
def test_where_two_agents_could_be_meant_nobody_is(entries):
    for order in (entries, entries[::-1]):
        with pytest.raises(Refused) as told:
            matching_agent(order, (U, P, G))
        assert told.value.code == "attestation.ambiguous"


def test_a_join_token_of_one_agent_makes_no_other():
    name = "join_token:name:first"
    entries = (entry("a", name), entry("b", name))
    assert matching_agent(entries, (name, "join_token:agent:b")) == "b"
    assert matching_agent(entries[:1], (name, "join_token:agent:b")) is None
    assert matching_agent(entries, (name, "join_token:agent:a", "join_token:agent:b")) is None


def test_evidence_is_sorted_and_says_each_thing_once():
    found = checked_evidence("unix", "kernel", (U, P, U))
    assert (found.source, found.grade, found.selectors) == ("unix", "kernel", (P, U))


def test_too_many_selectors_are_refused_for_leaving_some_out_could_make_another_agent():
    with pytest.raises(Unverified) as told:
        checked_evidence("oidc", "gateway", (f"oidc:claim.groups:{n}" for n in range(65)))
    assert told.value.code == "attestation.too_many"
    with pytest.raises(Malformed):
        checked_evidence("oidc", "gateway", ("nonsense",))


def test_what_is_signed_names_purpose_challenge_and_key():
    assert possession_message("c", "k") == b"answerable-enrol\nc\nk\n"


@pytest.mark.parametrize("parts", [("", "k"), ("c", ""), ("a\nb", "k"), ("c", "é"), ("c", "k" * 257)])
def test_no_two_pairs_are_one_message(parts):
    with pytest.raises(Malformed) as told:
        possession_message(*parts)
    assert told.value.code == "attestation.message"


@pytest.mark.parametrize("program", [("unix:path:/a",), (f"unix:sha256:{'a' * 64}",), ("unix:path:/a", G)])
def test_a_program_without_a_user_makes_nobody_anything(program):
    measured = (*program, U, G)
    assert fits_every_user(program)
    assert not fits_every_user((*program, U))
    assert matching_agent((entry("a", *program),), measured) is None
    assert matching_agent((entry("a", *program, U),), measured) == "a"
    # Nor does such a set stand in another agent's way.
    assert matching_agent((entry("a", *program), entry("b", U)), measured) == "b"
