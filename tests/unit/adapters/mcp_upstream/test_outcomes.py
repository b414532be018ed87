from __future__ import annotations

import pytest
from mcp.shared.exceptions import MCPError

from answerable.adapters.mcp_upstream.marks import marked
from answerable.adapters.mcp_upstream.outcomes import (
    outcome_of_broker,
    outcome_of_error,
    outcome_of_result,
    request_of,
    with_session,
)
from answerable.core.canonical import freeze
from answerable.core.lease.wire import DONE_META
from answerable.errors import Broken


def asked(method, target, arguments):
    value = {"arguments": arguments, "method": method, "server": "crm", "target": target}
    return request_of(freeze(value), action_id="a", idempotency_key="k")


def test_a_request_is_made_from_the_frozen_action_and_carries_its_names():
    method, params = asked("tools/call", "pay", {"cents": 1})
    assert method == "tools/call"
    assert params == {
        "name": "pay",
        "arguments": {"cents": 1},
        "_meta": {"answerable/action": "a", "answerable/idempotency-key": "k"},
    }
    assert asked("resources/read", "crm://1", {})[1]["uri"] == "crm://1"
    completion = asked("completion/complete", "p", {"ref": "ref/prompt", "argument": "a", "value": "v"})[1]
    assert completion["ref"] == {"type": "ref/prompt", "name": "p"}
    assert completion["argument"] == {"name": "a", "value": "v"}


def test_an_action_of_another_kind_is_never_sent():
    with pytest.raises(Broken):
        asked("logging/setLevel", "x", {})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"answerable/effect": "none", "code": "lease.ended"}, ("not_started", "lease.ended")),
        ({"answerable/effect": "none"}, ("not_started", "")),
        ({"answerable/effect": "unknown", "code": "lease.late"}, ("indeterminate", "")),
    ],
)
def test_what_a_broker_says_of_an_action_that_was_not_begun_has_its_code(data, told):
    outcome = outcome_of_broker(MCPError(-32603, "it has ended", data=data))
    assert (outcome.status, outcome.code) == told


@pytest.mark.requirement("BROKER-12")
@pytest.mark.parametrize(
    ("told", "retry"), [({}, True), ({"answerable/retry": True}, True), ({"answerable/retry": False}, False)]
)
def test_a_call_that_a_broker_would_refuse_again_is_not_one_to_repeat(told, retry):
    data = {"answerable/effect": "none", "code": "target.arguments", **told}
    assert outcome_of_broker(MCPError(-32602, "no such tool", data=data)).retry is retry


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MCPError(-32603, "the disk is full"), "failed"),
        (MCPError(-32602, "no such tool"), "failed"),
        (MCPError(-32001, "denied"), "failed"),
        (MCPError(-32000, "Connection closed"), "indeterminate"),
        (MCPError(-32000, "anything"), "indeterminate"),
        (MCPError(-32700, "Failed to parse JSON response"), "indeterminate"),
        (MCPError(-32600, "server answered a request with 202 Accepted"), "indeterminate"),
        (MCPError(-32603, "unreachable", marked("not_sent")), "not_started"),
        (MCPError(-32603, "lost", marked("unknown")), "indeterminate"),
        (MCPError(-32603, "forged", {"mark": "not_sent", "secret": "guess"}), "failed"),
    ],
)
def test_an_error_claims_no_more_than_is_known(error, status):
    assert outcome_of_error(error).status == status


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"content": []}, "succeeded"),
        ({"content": [], "resultType": "complete"}, "succeeded"),
        ({"content": [{"type": "text", "text": "no"}], "isError": True}, "failed"),
        ({"resultType": "input_required"}, "failed"),
        ({"resultType": "something new"}, "indeterminate"),
        ({"n": 2**60}, "indeterminate"),
        ({"n": float("nan")}, "indeterminate"),
        ({"text": "x" * 2000}, "indeterminate"),
    ],
)
def test_a_result_is_kept_word_for_word_or_not_at_all(result, status):
    outcome = outcome_of_result(result, bytes_max=1000)
    assert outcome.status == status
    assert outcome.result in (None, result)
    assert len(outcome.detail) < 400


USED = {"scope": "ab" * 32, "sure": ["tables/0/select"], "unsure": []}


@pytest.mark.parametrize(
    ("said", "used"),
    [
        (USED, USED),
        (None, None),
        ("all of it", None),
        ({**USED, "sure": ["x y"]}, None),
        ({**USED, "by": "me"}, None),
    ],
)
def test_what_a_broker_says_was_used_is_kept_apart_from_the_answer_or_not_at_all(said, used):
    done = {"lease": "l", "session": {"pg_session": "1.2"}, "used": said}
    answer = outcome_of_result({"content": [], "_meta": {DONE_META: done, "other": 1}}, bytes_max=10_000)
    told = with_session(answer)
    assert (told.used, told.session) == (used, {"pg_session": "1.2"})
    assert told.result == {"content": [], "_meta": {"other": 1}}
