"""Who may broker for whom: what is listed, and nothing that looks like it."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.workload.broker_grant import (
    GRANTS_MAX,
    WORKLOADS_MAX,
    broker_grants,
    names_of,
    within_reach,
)
from answerable.errors import Malformed

OWN = trust_domain("example.test")


def reach(names: set[str], *texts: str) -> frozenset[str]:
    return within_reach(broker_grants(texts, own=OWN), names)


def test_a_process_is_called_by_its_agent_and_by_what_the_kernel_measured():
    measured = ("unix:uid:1000", "oidc:sub:agent:admin")
    assert names_of(OWN, AgentId("scout"), measured) == {
        "agent:scout",
        "spiffe://example.test/agent/scout",
        "unix:uid:1000",
    }
    assert names_of(OWN, None, measured) == {"unix:uid:1000"}


def test_a_broker_reaches_what_all_its_grants_list_and_nobody_else_does():
    texts = ("agent:relay agent:scout unix:uid:7", "unix:uid:1000 agent:rover", "agent:other agent:vault")
    assert reach({"agent:relay", "unix:uid:5"}, *texts) == {"agent:scout", "unix:uid:7"}
    assert reach({"agent:relay", "unix:uid:1000"}, *texts) == {"agent:scout", "unix:uid:7", "agent:rover"}
    assert reach({"agent:scout", "unix:uid:7"}, *texts) == frozenset()
    assert reach({"agent:relay"}) == frozenset()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "BROKER WORKLOAD"),
        ("agent:relay", "BROKER WORKLOAD"),
        ("agent:relay *", "neither"),
        ("* agent:scout", "neither"),
        ("relay agent:scout", "neither"),
        ("agent:Relay agent:scout", "name"),
        ("agent: agent:scout", "name"),
        ("unix:uid:x agent:scout", "selector"),
        ("unix:name:x agent:scout", "selector"),
        ("oidc:sub:x agent:scout", "neither"),
        ("spiffe://other.test/agent/relay agent:scout", "neither"),
        ("spiffe://example.test/agent/ agent:scout", "name"),
        ("spiffe://example.test/agent/relay/1 agent:scout", "name"),
        ("agent:relay" + " agent:scout" * (WORKLOADS_MAX + 1), "at most"),
    ],
)
def test_what_is_no_grant_is_said_to_be_none(text: str, told: str):
    with pytest.raises(Malformed, match=told) as error:
        broker_grants([text], own=OWN)
    assert error.value.code == "broker.grant"


def test_the_number_of_brokers_is_bounded():
    texts = [f"unix:uid:{uid} agent:scout" for uid in range(GRANTS_MAX + 1)]
    assert len(broker_grants(texts[1:], own=OWN)) == GRANTS_MAX
    with pytest.raises(Malformed, match="at most"):
        broker_grants(texts, own=OWN)
