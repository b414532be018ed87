from __future__ import annotations

from dataclasses import replace

import pytest
from mcp.shared.exceptions import MCPError

from answerable.apps.mcp_gateway.rpc_errors import DENIED, UNVERIFIED, error_of, status_of
from answerable.apps.mcp_gateway.translate import answered, raised, shaped
from answerable.core.action.outcome import Outcome
from answerable.core.ledger.answer import Answer
from answerable.errors import Broken, Malformed, Refused, Unavailable, Unverified
from answerable.testing.samples import approval

MODERN, OLD = "2026-07-28", "2025-11-25"
REFUSED = Refused("no", code="policy.denied", reasons=("first", "second"), entry_index=7)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Malformed("bad", code="json.size"), 400, -32602),
        (Unverified("the key of rover is unknown", code="proof.key", step="key"), 401, UNVERIFIED),
        (REFUSED, 403, DENIED),
        (Unavailable("no ledger", code="ledger.full", port="ledger"), 503, -32603),
        (Broken("the secret invariant", code="warrant.spent"), 500, -32603),
    ],
)
def test_each_branch_has_one_status_and_one_code(error, status, code):
    assert (status_of(error), error_of(error)[0]) == (status, code)


def test_strangers_learn_the_step_and_no_more():
    _, message, extra = error_of(Unverified("the key of rover is unknown", code="proof.key", step="key"))
    assert "rover" not in message + str(extra)
    assert "`key`" in message
    assert "secret" not in str(error_of(Broken("the secret invariant", code="warrant.spent")))


@pytest.mark.parametrize(
    ("step", "does"), [("channel", "registered for the user"), ("replay", "sign a new one for each call")]
)
def test_a_failed_step_that_asks_for_the_same_of_everybody_says_what_to_do(step, does):
    _, message, extra = error_of(Unverified("rover has user id 7", code=f"proof.{step}", step=step))
    assert does in message
    assert message == extra["message"]
    assert "rover" not in message


@pytest.mark.requirement("WORDS-08")
def test_a_refused_tool_call_is_a_result_a_model_can_read_and_its_text_names_the_code():
    result = raised(REFUSED, method="tools/call", version=MODERN)
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": "refused: first; second (policy.denied)"}]
    assert result["structuredContent"] == {
        "state": "refused",
        "code": "policy.denied",
        "message": "refused: first; second (policy.denied)",
        "reasons": ["first", "second"],
        "retry": False,
        "approvalUrl": None,
        "effect": "none",
        "entry": 7,
    }
    assert result["resultType"] == "complete"
    assert "resultType" not in raised(REFUSED, method="tools/call", version=OLD)


def test_everything_else_that_is_refused_is_an_error():
    with pytest.raises(MCPError) as error:
        raised(REFUSED, method="resources/read", version=MODERN)
    assert error.value.code == DENIED
    assert error.value.data["reasons"] == ["first", "second"]


def test_unavailable_says_whether_asking_again_is_safe():
    for effect, retry in (("none", True), ("unknown", False)):
        error = Unavailable("down", code="upstream.down", port="upstream", effect=effect)
        assert error_of(error)[2]["retry"] is retry


def test_a_deferral_names_the_approval_and_that_nothing_was_done():
    waiting = approval()
    result = answered(Answer(approval=waiting), method="tools/call", version=MODERN)
    assert result["structuredContent"] == {
        "approvalId": waiting.id,
        "state": "pending",
        "expiresAt": waiting.expires_at,
        "digest": waiting.action.hex,
        "message": result["content"][0]["text"],
        "reasons": [*waiting.reasons],
        "retry": True,
        "approvalUrl": None,
        "effect": "none",
    }
    assert "Nothing has been done" in result["content"][0]["text"]
    with pytest.raises(MCPError):
        answered(Answer(approval=waiting), method="prompts/get", version=MODERN)


@pytest.mark.requirement("OBL-05")
def test_an_agent_is_told_what_was_narrowed_where_its_model_reads_it():
    part = {"type": "text", "text": "done"}
    answer = Answer(
        action_id="a-1",
        outcome=Outcome(status="succeeded", result={"content": [part]}),
        narrowed=b'{"amount":5000}',
    )
    result = answered(answer, method="tools/call", version=MODERN)
    assert result["content"][0] == part
    assert '{"amount":5000}' in result["content"][1]["text"]
    assert result["_meta"]["answerable/narrowed"] == {"amount": 5000}
    waiting = answered(
        Answer(approval=approval(), narrowed=b'{"amount":5000}'), method="tools/call", version=MODERN
    )
    assert "narrower arguments" in waiting["content"][0]["text"]
    plain = answered(
        Answer(action_id="a-1", outcome=Outcome(status="succeeded", result={"content": [part]})),
        method="tools/call",
        version=MODERN,
    )
    assert plain["content"] == [part]
    assert "answerable/narrowed" not in plain["_meta"]


@pytest.mark.requirement("OBL-11")
def test_a_deferral_tells_an_agent_no_reason_that_is_for_people_only():
    waiting = replace(approval(), internal=("case 77 of the fraud team",))
    result = answered(Answer(approval=waiting), method="tools/call", version=MODERN)
    assert "case 77" not in str(result)


def test_a_result_passes_through_and_says_where_it_is_recorded():
    said = {
        "content": [],
        "unknown": 1,
        "resultType": "complete",
        "_meta": {"io.modelcontextprotocol/x": 1, "own": 2},
    }
    answer = Answer(action_id="a", outcome=Outcome(status="succeeded", result=dict(said)))
    modern = answered(answer, method="tools/call", version=MODERN)
    assert modern == {**said, "_meta": {**said["_meta"], "answerable/action": "a"}}
    old = answered(answer, method="tools/call", version=OLD)
    assert old == {"content": [], "unknown": 1, "_meta": {"own": 2, "answerable/action": "a"}}
    assert said["_meta"] == {"io.modelcontextprotocol/x": 1, "own": 2}


@pytest.mark.parametrize(
    ("status", "word"),
    [("not_started", "can be repeated safely"), ("indeterminate", "may have been done"), ("failed", "")],
)
def test_an_end_without_a_result_is_said_in_words(status, word):
    answer = Answer(action_id="a", outcome=Outcome(status=status, detail="why"))
    result = answered(answer, method="tools/call", version=MODERN)
    assert result["isError"] is True
    assert "why" in result["content"][0]["text"]
    assert word in result["content"][0]["text"]
    text = result["content"][0]["text"]
    state = {
        "state": status,
        "detail": "why",
        "actionId": "a",
        "message": text,
        "reasons": ["why"],
        "retry": status == "not_started",
        "approvalUrl": None,
        "effect": "none" if status == "not_started" else "unknown",
    }
    assert result["structuredContent"] == state
    with pytest.raises(MCPError, match="why") as error:
        answered(answer, method="resources/read", version=OLD)
    assert error.value.data == {**state, "answerable/action": "a"}


@pytest.mark.requirement("BROKER-12")
def test_a_call_that_would_be_refused_again_is_not_one_to_repeat():
    outcome = Outcome(status="not_started", detail="there is no tool `drop`", retry=False)
    result = answered(Answer(action_id="a", outcome=outcome), method="tools/call", version=MODERN)
    (said,) = result["content"]
    assert "repeated" not in said["text"]
    assert "would be refused again" in said["text"]
    assert (result["structuredContent"]["retry"], result["structuredContent"]["effect"]) == (False, "none")


def test_nothing_that_passes_may_be_kept_for_others():
    own = {"ttlMs": 60_000, "cacheScope": "public", "contents": []}
    assert shaped(dict(own), method="resources/read", version=MODERN)["cacheScope"] == "private"
    assert shaped(dict(own), method="tools/list", version=MODERN)["ttlMs"] == 0
    assert shaped(dict(own), method="resources/read", version=OLD) == {"contents": []}
