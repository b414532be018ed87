"""Strings that have the shape of a credential: they reach no tool, no agent and no entry of the ledger."""

from __future__ import annotations

import json

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED

from answerable.adapters.mcp_upstream.outcomes import outcome_of_error, outcome_of_result
from answerable.core.action.outcome import Outcome
from answerable.core.ledger.opened import payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.ledger.warrant import Warrant
from answerable.errors import Refused
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.parts import to_govern

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("TOKEN-08")]

# Made here, so that no file holds a string that a scanner of repositories would report.
SECRET = "gh" + "p_" + "a1B2" * 9
JWT = ".".join(("ey" + "JhbGciOiJFZERTQSJ9", "ey" + "JzdWIiOiJ4In0", "c2lnbmF0dXJl"))


async def bench_with(**credentials):
    documents = bench_documents()
    for one in documents:
        match one:
            case {"kind": "Capability", "spec": dict(spec)} if credentials:
                spec["credentials"] = credentials
    bench = await Bench().registered(documents)
    await bench.issue()
    return bench


def everything(bench):
    """Every leaf and every opened field."""
    parts = []
    for stored in bench.recorder.ledger.replay():
        leaf = json.loads(stored.leaf)
        parts += [stored.leaf.decode(), repr(payload_of(stored, leaf, bench.recorder.subject_keys.find))]
    return "\n".join(parts)


@pytest.mark.parametrize("secret", [SECRET, JWT], ids=["github", "jose"])
async def test_a_credential_in_an_action_or_beside_it_reaches_neither_tool_nor_ledger(secret):
    bench = await bench_with()
    for asked in (
        {"arguments": {"case": secret}},
        {"arguments": {"case": "4711"}, "reason": f"with {secret}"},
        {"arguments": {"case": "4711", "extra": secret}},
        {"arguments": {"case": "4711"}, "target": f"crm://cases/{secret}"},
        {"arguments": {"case": "4711"}, "mandate": secret[:200]},
        {"arguments": {"case": "x" * 9_000 + secret}},
    ):
        with pytest.raises(Refused):
            await bench.act(**{"target": "get_case", **asked})
    assert len(bench.entries(Tag.REFUSAL)) == 6
    assert not bench.upstream.effects
    said = everything(bench)
    assert secret not in said
    assert secret[4:] not in said
    assert "[hidden: " in said


async def test_a_refusal_says_of_what_kind_it_was_and_not_what():
    bench = await bench_with()
    with pytest.raises(Refused, match="1 github") as told:
        await bench.act("refund", {"case": "4711", "amount": 5} | {"case": SECRET})
    assert told.value.code == "arguments.token"
    assert SECRET not in str(told.value.reasons)


async def test_a_credential_that_policy_refuses_first_is_not_kept_either():
    bench = await Bench().registered(
        bench_documents('@id("no") @reason("no") forbid(principal, action, resource);\n')
    )
    await bench.issue()
    with pytest.raises(Refused) as told:
        await bench.act("get_case", {"case": SECRET})
    assert told.value.code != "arguments.token"
    assert SECRET not in everything(bench)


async def test_a_credential_in_an_answer_is_hidden_from_the_agent_and_the_ledger():
    bench = await bench_with()
    bench.upstream.answer = lambda _: Outcome(
        status="succeeded", detail=f"took {SECRET}", result={"text": f"it is {SECRET}", "more": [JWT]}
    )
    answer = await bench.act("get_case", {"case": "4711"})
    assert answer.outcome is not None
    assert answer.outcome.result == {"text": "it is [hidden: github]", "more": ["[hidden: jose]"]}
    assert "hidden in the answer: 1 github, 1 jose" in answer.outcome.detail
    said = everything(bench)
    assert SECRET not in said
    assert JWT not in said
    # A long answer is searched beside the event loop, with the same end.
    bench.upstream.answer = lambda _: Outcome(
        status="succeeded", result={"text": "x" * 80_000 + " " + SECRET}
    )
    answer = await bench.act("get_case", {"case": "4711"})
    assert answer.outcome is not None
    assert answer.outcome.result == {"text": "x" * 80_000 + " [hidden: github]"}


async def test_a_credential_in_what_a_tool_says_of_its_progress_is_hidden_and_counted():
    bench = await bench_with()
    heard: list[str | None] = []

    class Talking:
        definition = bench.upstream.definition
        generation = 0

        async def perform(self, warrant: Warrant, *, progress=None) -> Outcome:
            assert progress is not None
            for message in (None, "half way", f"with {SECRET}", "x" * 80_000 + f" {SECRET} {JWT}"):
                await progress(1, None, message)
            return await bench.upstream.perform(warrant)

    async def hear(_progress: float, _total: float | None, message: str | None) -> None:
        heard.append(message)

    bench.walk.verification.upstream = Talking()
    action, caller = bench.request("get_case", {"case": "4711"})
    answer = await govern_action(*to_govern(bench.walk), action, caller, progress=hear)
    hidden = "x" * 80_000 + " [hidden: github] [hidden: jose]"
    assert heard == [None, "half way", "with [hidden: github]", hidden]
    assert answer.outcome is not None
    assert answer.outcome.detail == "hidden in progress: 2 github, 1 jose"
    said = everything(bench)
    assert SECRET not in said
    assert "hidden in progress: 2 github, 1 jose" in said


async def test_what_a_capability_says_that_its_tool_needs_is_let_through_and_nothing_else():
    bench = await bench_with(arguments=["case"], answers=True)
    await bench.issue("m-2")
    bench.upstream.answer = lambda _: Outcome(status="succeeded", result={"text": SECRET})
    with pytest.raises(Refused) as told:
        await bench.act("get_case", {"case": "4711"}, reason=SECRET)
    assert told.value.code == "arguments.token"
    for arguments in ({"case": "4711"}, {"case": SECRET}):
        answer = await bench.act("get_case", arguments)
        assert answer.outcome is not None
        assert answer.outcome.result == {"text": SECRET}
    assert bench.upstream.effects[-1].arguments == {"case": SECRET}


@pytest.mark.parametrize("before", [0, 160, 180, 199])
def test_a_credential_that_the_end_of_an_error_would_cut_in_two_is_hidden_whole(before):
    said = "x" * before + " " + SECRET
    for outcome in (
        outcome_of_error(MCPError(-32603, said)),
        outcome_of_error(MCPError(CONNECTION_CLOSED, said)),
        outcome_of_result({"isError": True, "content": [{"type": "text", "text": said}]}, bytes_max=100_000),
    ):
        assert SECRET[4:12] not in outcome.detail
        assert "[hid" in outcome.detail or before > 190
