"""SPIFFE IDs have one spelling, and what the standard forbids is refused."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.names.spiffe_id import (
    ID_BYTES_MAX,
    SpiffeId,
    agent_instance_id,
    spiffe_id,
    trust_domain,
)
from answerable.errors import Malformed

DOMAIN = trust_domain("example.org")


def refusal(text: str) -> str:
    with pytest.raises(Malformed) as caught:
        spiffe_id(text)
    return caught.value.code


def test_scheme_and_domain_are_kept_in_lower_case_and_the_path_as_it_is() -> None:
    read = spiffe_id("SPIFFE://Example.ORG/Agent/A_b-c.d")
    assert read == SpiffeId(trust_domain=DOMAIN, path="/Agent/A_b-c.d")
    assert str(read) == "spiffe://example.org/Agent/A_b-c.d"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "spiffe_id.scheme"),
        ("https://example.org/a", "spiffe_id.scheme"),
        ("spiffe:example.org/a", "spiffe_id.scheme"),
        ("\u017fpiffe://example.org/a", "spiffe_id.scheme"),
        ("spiffe://", "spiffe_id.trust_domain"),
        ("spiffe:///a", "spiffe_id.trust_domain"),
        ("spiffe://user@example.org/a", "spiffe_id.trust_domain"),
        ("spiffe://example.org:443/a", "spiffe_id.trust_domain"),
        ("spiffe://[::1]/a", "spiffe_id.trust_domain"),
        ("spiffe://\u212aube.org/a", "spiffe_id.trust_domain"),
        ("spiffe://example.org?a=b", "spiffe_id.trust_domain"),
        ("spiffe://" + "a" * 256, "spiffe_id.trust_domain"),
        ("spiffe://example.org/", "spiffe_id.path"),
        ("spiffe://example.org//a", "spiffe_id.path"),
        ("spiffe://example.org/a/", "spiffe_id.path"),
        ("spiffe://example.org/./a", "spiffe_id.path"),
        ("spiffe://example.org/a/..", "spiffe_id.path"),
        ("spiffe://example.org/a%2Fb", "spiffe_id.path"),
        ("spiffe://example.org/a?b", "spiffe_id.path"),
        ("spiffe://example.org/a#b", "spiffe_id.path"),
        ("spiffe://example.org/a\n", "spiffe_id.path"),
        ("spiffe://example.org/\ud800", "spiffe_id.path"),
        ("spiffe://example.org/" + "a" * ID_BYTES_MAX, "spiffe_id.length"),
    ],
)
def test_what_the_standard_forbids_is_refused(text: str, code: str) -> None:
    assert refusal(text) == code


def test_an_id_of_exactly_the_longest_length_is_read() -> None:
    start = "spiffe://example.org/"
    assert len(str(spiffe_id(start + "a" * (ID_BYTES_MAX - len(start))))) == ID_BYTES_MAX


def test_a_dotted_ipv4_address_is_a_trust_domain_like_any_other() -> None:
    assert spiffe_id("spiffe://10.2.3.4/a").trust_domain == "10.2.3.4"


@pytest.mark.parametrize("name", ["", "Example.org", "a/b", "spiffe://a", "a b", "a\n"])
def test_a_trust_domain_alone_is_lower_case_and_bare(name: str) -> None:
    with pytest.raises(Malformed) as caught:
        trust_domain(name)
    assert caught.value.code == "spiffe_id.trust_domain"


def test_an_instance_is_named_after_its_agent_and_a_sub_agent_after_its_instance() -> None:
    agent = AgentId("scout")
    assert str(agent_instance_id(DOMAIN, agent, "0f")) == "spiffe://example.org/agent/scout/0f"
    named = agent_instance_id(DOMAIN, agent, "0f", sub="sub-1")
    assert str(named) == "spiffe://example.org/agent/scout/0f/sub-1"


@pytest.mark.parametrize(
    ("instance", "sub"), [("..", ""), ("a/b/", ""), ("0f", "."), ("0f", "a//b"), ("", "")]
)
def test_an_instance_name_that_is_no_path_segment_is_refused(instance: str, sub: str) -> None:
    with pytest.raises(Malformed):
        agent_instance_id(DOMAIN, AgentId("scout"), instance, sub=sub)
