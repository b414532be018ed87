from __future__ import annotations

import pytest

from answerable.apps.mcp_gateway.arrival import SCOPE_KEY, Arrival, arrival_of
from answerable.apps.mcp_gateway.requests import listen_requests, request_of
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.errors import Broken, Malformed
from answerable.testing.clock import START


def arrival(method, params, identifier=1):
    caller = VerifiedCaller(
        agent=AgentId("scout"),
        proof="signature",
        binding="key",
        sequence=1,
        message_digest=b"d" * 32,
        at=START,
    )
    message = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}
    return Arrival(message=message, caller=caller, mandate_id="m-1")


def asked(method, params):
    return request_of(arrival(method, params), "crm", method)


def test_an_action_is_what_the_proved_message_says():
    params = {"name": "pay", "arguments": {"n": 1}, "_meta": {"answerable/reason": "the customer asked"}}
    request = asked("tools/call", params)
    params["arguments"]["n"] = 2
    assert (request.server, request.target, request.reason) == ("crm", "pay", "the customer asked")
    assert request.arguments == {"n": 1}
    assert request.action.thaw() == {
        "arguments": {"n": 1},
        "method": "tools/call",
        "server": "crm",
        "target": "pay",
    }
    assert request.message_digest == b"d" * 32


def test_what_each_method_names_is_its_target():
    assert asked("resources/read", {"uri": "a://1"}).target == "a://1"
    assert asked("prompts/get", {"name": "p"}).arguments == {}
    request = asked(
        "completion/complete",
        {
            "ref": {"type": "ref/resource", "uri": "a://{b}"},
            "argument": {"name": "b", "value": "1"},
            "context": {"arguments": {"c": "2"}},
        },
    )
    assert request.target == "a://{b}"
    assert request.arguments == {"argument": "b", "ref": "ref/resource", "value": "1", "context": {"c": "2"}}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {}),
        ("tools/call", {"name": 7}),
        ("tools/call", {"name": "pay", "arguments": []}),
        ("tools/call", {"name": "pay", "arguments": None}),
        ("tools/call", {"name": "pay", "task": {"ttl": 1}}),
        ("completion/complete", {"requestState": "a"}),
        ("tools/call", {"name": "pay", "_meta": []}),
        ("tools/call", {"name": "pay", "arguments": {"a": [{"__entity": {}}]}}),
        ("tools/call", {"name": "x" * 600}),
        ("resources/read", {"uri": "a://1", "name": "pay"}),
        ("resources/read", []),
        (
            "completion/complete",
            {"ref": {"type": "other", "name": "x"}, "argument": {"name": "a", "value": "b"}},
        ),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a"}}),
        (
            "completion/complete",
            {
                "ref": {"type": "ref/prompt", "name": "x"},
                "argument": {"name": "a", "value": "b"},
                "context": 1,
            },
        ),
    ],
)
def test_a_request_with_anything_else_in_it_is_refused(method, params):
    with pytest.raises(Malformed):
        asked(method, params)


def test_listening_is_one_action_for_each_resource():
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["a://1", "a://2", "a://1"]}
    flags, requests = listen_requests(
        arrival("subscriptions/listen", {"notifications": wanted}), "crm", uris_max=3
    )
    assert [request.target for request in requests] == ["a://1", "a://2"]
    assert flags == {"toolsListChanged": True, "promptsListChanged": False, "resourcesListChanged": False}
    for bad in (
        {},
        {"notifications": {"more": True}},
        {"notifications": {"resourceSubscriptions": ["a"] * 4}},
    ):
        with pytest.raises(Malformed):
            listen_requests(arrival("subscriptions/listen", bad), "crm", uris_max=3)


class FakeRequest:
    def __init__(self, scope):
        self.scope = scope


def test_the_gate_runs_nothing_but_the_message_that_was_proved():
    own = arrival("tools/call", {})
    request = FakeRequest({SCOPE_KEY: own})
    assert arrival_of(request, "tools/call", 1) is own
    foreign = FakeRequest({})
    for other in (
        (request, "tools/list", 1),
        (request, "tools/call", 2),
        (foreign, "tools/call", 1),
        (None, "tools/call", 1),
    ):
        with pytest.raises(Broken):
            arrival_of(*other)
