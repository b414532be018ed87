"""Between what was prepared and what is executed: whoever swaps, copies, replays or hides something there."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from msgspec import structs

from answerable.core.action.outcome import Outcome
from answerable.core.action.request import narrowed_request
from answerable.core.canonical import encode, parse
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.walk.verify_request import verify_request
from answerable.testing.tool_pins import ApprovedAsSeen
from tests.worlds.parts import to_plan
from tests.worlds.prepared import (
    ARGUMENTS,
    BATCH,
    EXECUTE,
    GRANTS,
    LARGE,
    PREPARE,
    digest,
    documents,
    execute,
    executed,
    free_documents,
    prepare,
    prepared,
    prepared_bench,
    refused,
    structured,
)

pytestmark = pytest.mark.anyio

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\n-----END PRIVATE KEY-----"


@pytest.mark.requirement("PREPARE-02")
async def test_what_is_sent_is_what_was_prepared_byte_for_byte_and_its_digest():
    bench, upstream = await prepared_bench()
    named = await prepared(bench)
    answer = await execute(bench, named)
    assert answer.outcome.status == "succeeded"
    assert executed(upstream) == [{"batch": encode(BATCH).decode(), "digest": digest(BATCH)}]
    assert named == digest(BATCH)
    assert not upstream.violations


@pytest.mark.requirement("PREPARE-02")
async def test_text_is_sent_as_it_was_said_and_not_read_anew():
    text = '{"b": 1.0, "a":  "\u00e9"}\r\n'
    result = {"content": [{"type": "text", "text": text}]}
    bench, upstream = await prepared_bench(result)
    await bench.registered(free_documents())
    await execute(bench, await prepared(bench))
    assert executed(upstream)[0]["batch"] == text


@pytest.mark.requirement("PREPARE-02")
@pytest.mark.parametrize("status", ["failed", "indeterminate"])
async def test_what_a_tool_answered_as_it_failed_is_not_prepared(status):
    bench, upstream = await prepared_bench()
    upstream.answer = lambda _: Outcome(status=status, result=structured(BATCH), detail="as told")
    answer = await bench.act("prepare_batch", {})
    assert answer.outcome is not None
    assert (answer.outcome.status, answer.outcome.prepared) == (status, None)
    await refused(bench, digest(BATCH), "prepared.unknown")


COPIES: dict[str, Any] = {
    "the object itself": BATCH,
    "its text": encode(BATCH).decode(),
    "the bare digest": digest(BATCH).removeprefix("sha256:"),
    "upper case": digest(BATCH).upper(),
    "upper-case digits": "sha256:" + digest(BATCH).removeprefix("sha256:").upper(),
    "a space": digest(BATCH) + " ",
    "a line": digest(BATCH) + "\n",
    "another hash": "sha512:" + "0" * 128,
    "a list": [digest(BATCH)],
    "nothing": None,
    "a number": 7,
}


@pytest.mark.requirement("PREPARE-02")
@pytest.mark.parametrize("what", COPIES)
async def test_an_agents_own_copy_is_never_executed(what):
    bench, upstream = await prepared_bench()
    await prepared(bench)
    await refused(bench, COPIES[what], "prepared.digest")
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-02")
@pytest.mark.parametrize(
    "more", [{"digest": "sha256:" + "0" * 64}, {"digest": "x"}, {"twice": True}, {"amount": 1}]
)
async def test_nothing_goes_beside_the_digest(more):
    bench, upstream = await prepared_bench()
    named = await prepared(bench)
    with pytest.raises(Refused) as raised:
        await bench.act("execute_batch", {"batch": named, **more})
    assert raised.value.code == "prepared.arguments"
    with pytest.raises(Refused) as raised:
        await bench.act("execute_batch", more)
    assert raised.value.code == "prepared.arguments"
    assert not executed(upstream)


def composed(form: Any) -> Any:
    return {**BATCH, "lines": [{**BATCH["lines"][0], "payee": unicodedata.normalize(form, "Café Zoë")}]}


@pytest.mark.requirement("PREPARE-03")
async def test_what_looks_alike_has_another_digest_and_was_not_prepared():
    bench, _ = await prepared_bench(structured(composed("NFC")))
    assert await prepared(bench) == digest(composed("NFC"))
    assert digest(composed("NFC")) != digest(composed("NFD"))
    await refused(bench, digest(composed("NFD")), "prepared.unknown")


@pytest.mark.requirement("PREPARE-02")
async def test_the_same_value_in_another_spelling_is_one_object_in_one_spelling():
    spelled = {"lines": [{**BATCH["lines"][0], "amount": 1200.0}, BATCH["lines"][1]], "currency": "EUR"}
    bench, upstream = await prepared_bench(structured({**spelled, "batch_id": "PB-1"}))
    assert await prepared(bench) == digest(BATCH)
    await execute(bench, digest(BATCH))
    assert executed(upstream)[0]["batch"] == encode(BATCH).decode()


@pytest.mark.requirement("PREPARE-03")
async def test_another_agent_learns_nothing_of_what_one_prepared():
    bench, upstream = await prepared_bench()
    await bench.issue("m-2", agent="rover", grants=GRANTS)
    named = await prepared(bench)
    mine = await refused(bench, named, "prepared.unknown", agent="rover", mandate="m-2")
    never = await refused(bench, "sha256:" + "0" * 64, "prepared.unknown", agent="rover", mandate="m-2")
    assert mine.message == never.message
    assert not executed(upstream)
    assert (await execute(bench, named)).outcome is not None, "the stranger's tries used nothing up"


@pytest.mark.requirement("PREPARE-03")
async def test_under_another_mandate_it_is_not_executed():
    bench, upstream = await prepared_bench()
    await bench.issue("m-2", grants=GRANTS)
    named = await prepared(bench)
    await refused(bench, named, "prepared.other_mandate", mandate="m-2")
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-03")
async def test_it_is_executed_once():
    bench, upstream = await prepared_bench()
    named = await prepared(bench)
    first = await execute(bench, named)
    told = await refused(bench, named, "prepared.used")
    assert first.action_id in told.message, "the agent hears where it was executed"
    assert len(executed(upstream)) == 1


@pytest.mark.requirement("PREPARE-03")
async def test_what_was_used_can_be_prepared_again_and_is_another_object_then():
    bench, upstream = await prepared_bench()
    await execute(bench, await prepared(bench))
    await execute(bench, await prepared(bench))
    assert len(executed(upstream)) == 2


@pytest.mark.requirement("PREPARE-03")
async def test_of_two_that_race_one_runs():
    import anyio

    bench, upstream = await prepared_bench()
    named = await prepared(bench)
    ended: list[str] = []

    async def one() -> None:
        try:
            answer = await execute(bench, named)
            ended.append(answer.outcome.status)
        except Refused as no:
            ended.append(no.code)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(one)
    assert sorted(set(ended)) == ["prepared.used", "succeeded"]
    assert ended.count("succeeded") == 1
    assert len(executed(upstream)) == 1


@pytest.mark.requirement("PREPARE-03")
async def test_after_it_expired_it_is_prepared_again():
    bench, upstream = await prepared_bench(limits=WalkLimits(prepared_ttl_ms=60_000))
    named = await prepared(bench)
    bench.clock.advance(60)
    await refused(bench, named, "prepared.expired")
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-03")
@pytest.mark.parametrize("tool", ["prepare_batch", "execute_batch"])
async def test_a_tool_that_is_another_by_now_voids_what_was_prepared_or_shown(tool):
    bench, upstream = await prepared_bench(structured(LARGE))
    named = await prepared(bench)
    asked = (await execute(bench, named)).approval
    await bench.answer(asked)
    said = {"prepare_batch": PREPARE, "execute_batch": EXECUTE}[tool]
    upstream.defined = {**upstream.defined, tool: {**said, "title": "now it wires money abroad"}}
    bench.walk.verification.pins = ApprovedAsSeen(bench.authority.registry, upstream)
    if tool == "prepare_batch":
        told = await refused(bench, named, "prepared.changed")
        assert "the tool that prepared it" in told.message
    else:
        anew = (await execute(bench, named)).approval
        assert anew.id != asked.id
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-02")
async def test_a_server_that_answers_otherwise_each_time_gets_back_what_it_answered_then():
    other = {**BATCH, "lines": [{**BATCH["lines"][0], "iban": "GB29NWBK60161331926819"}]}
    bench, upstream = await prepared_bench(structured(BATCH), structured(other))
    first, second = await prepared(bench), await prepared(bench)
    assert (first, second) == (digest(BATCH), digest(other))
    await execute(bench, first)
    assert parse(executed(upstream)[0]["batch"].encode()) == BATCH


HIDDEN: dict[str, Any] = {
    "a key in the object": (structured({**BATCH, "note": KEY}), "prepared.token"),
    "a key in the text": ({"content": [{"type": "text", "text": f"use {KEY}"}]}, "prepared.token"),
    "too many bytes": (structured({**BATCH, "note": "x" * 40_000}), "prepared.too_large"),
    "more values than anybody reads": (structured({"lines": list(range(3_000))}), "prepared.too_large"),
    "nothing at all": ({"content": []}, "prepared.none"),
    "two texts": (
        {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        "prepared.none",
    ),
    "a picture": ({"content": [{"type": "image", "data": "", "mimeType": "image/png"}]}, "prepared.none"),
    "an empty text": ({"content": [{"type": "text", "text": ""}]}, "prepared.none"),
    "a number that readers round": (structured({"amount": 2**60}), "json.integer_range"),
    "half a character": ({"content": [{"type": "text", "text": "\ud800"}]}, "json.surrogate"),
    "a member that is Cedar's": (structured({"__extn": {"fn": "ip"}}), "arguments.reserved_member"),
}


@pytest.mark.requirement("PREPARE-01")
@pytest.mark.parametrize("what", HIDDEN)
async def test_what_cannot_be_shown_whole_is_not_kept_and_the_agent_hears_why(what):
    result, code = HIDDEN[what]
    bench, upstream = await prepared_bench(result)
    said = await prepare(bench)
    assert (said["kept"], said["code"]) == (False, code)
    assert KEY not in str(said)
    ended = bench.entries(Tag.OUTCOME)[-1]
    assert bench.opened(int(str(ended["index"])))[1]["prepared"] == said
    assert bench.walk.verification.prepared is not None
    assert bench.walk.verification.prepared.waiting("scout", bench.clock.now()) == 0
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-01")
async def test_what_policy_hides_from_the_agent_is_not_executed_by_its_digest():
    rule = """@id("no-ibans") @reason("no agent reads account numbers")
    @oblige("mask:/lines/*/iban") forbid (principal, action == Action::"crm.prepare", resource);"""
    bench, upstream = await prepared_bench(registry=documents(rule))
    answer = await bench.act("prepare_batch", {})
    assert "DE89370400440532013000" not in str(answer.outcome)
    assert (answer.outcome.prepared["kept"], answer.outcome.prepared["code"]) == (False, "prepared.altered")
    await refused(bench, digest(BATCH), "prepared.unknown")
    assert not executed(upstream)


NARROWED: dict[str, str] = {
    "modify:largest<=1000": "obligation.unfulfillable",
    "modify:total<=1000": "obligation.unfulfillable",
    'modify:currency in [\\"USD\\"]': "obligation.unfulfillable",
    'modify:batch=\\"{}\\"': "obligation.unfulfillable",
    'modify:digest=\\"x\\"': "obligation.unfulfillable",
}


@pytest.mark.requirement("PREPARE-02")
@pytest.mark.parametrize("duty", NARROWED)
async def test_policy_narrows_nothing_inside_what_was_prepared(duty):
    rule = f"""@id("less") @reason("less") @oblige("{duty}")
    forbid (principal, action == Action::"crm.execute", resource);"""
    arguments = [*ARGUMENTS, {"name": "batch", "type": "string"}, {"name": "digest", "type": "string"}]
    bench, upstream = await prepared_bench(registry=documents(rule, arguments=arguments))
    await refused(bench, await prepared(bench), NARROWED[duty])
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-02")
@pytest.mark.parametrize("change", [{"batch": "{}"}, {"digest": "sha256:" + "0" * 64}, {"more": 1}])
async def test_whoever_changes_it_on_its_way_through_the_walk_is_refused(change):
    bench, _ = await prepared_bench()
    action, caller = bench.request("execute_batch", {"batch": await prepared(bench)})
    verified = verify_request(*to_plan(bench.walk), action, caller)
    again = verify_request(*to_plan(bench.walk), verified.request, caller)
    assert (again.request, again.prepared) == (verified.request, verified.prepared)
    changed = narrowed_request(verified.request, {**verified.request.arguments, **change})
    with pytest.raises(Refused) as raised:
        verify_request(*to_plan(bench.walk), changed, caller)
    assert raised.value.code == "prepared.altered"
    with pytest.raises(Refused):
        verify_request(*to_plan(bench.walk), structs.replace(action, prepared="another"), caller)


@pytest.mark.requirement("PREPARE-01")
async def test_an_agent_cannot_fill_the_register():
    results = [structured({**BATCH, "batch_id": f"PB-{number}"}) for number in range(4)]
    bench, upstream = await prepared_bench(*results, limits=WalkLimits(prepared_waiting_per_agent_max=3))
    first = await prepared(bench)
    for _ in range(2):
        await prepared(bench)
    done = len(upstream.effects)
    with pytest.raises(Refused) as raised:
        await bench.act("prepare_batch", {})
    assert raised.value.code == "prepared.too_many"
    assert len(upstream.effects) == done, "the tool was not even asked"
    await execute(bench, first)
    await prepared(bench)


@pytest.mark.requirement("PREPARE-01")
async def test_the_same_again_takes_no_more_room_and_keeps_its_end():
    bench, _ = await prepared_bench(limits=WalkLimits(prepared_waiting_per_agent_max=2))
    first = await prepare(bench)
    bench.clock.advance(1)
    again = await prepare(bench)
    assert (again["digest"], again["expires_at"]) == (first["digest"], first["expires_at"])
    assert bench.walk.verification.prepared is not None
    assert bench.walk.verification.prepared.waiting("scout", bench.clock.now()) == 1


@pytest.mark.requirement("PREPARE-03")
async def test_a_hold_or_a_closed_mandate_stops_what_was_prepared():
    from answerable.flows.revocation.close_mandate import close_mandate

    bench, upstream = await prepared_bench()
    named = await prepared(bench)
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    with pytest.raises(Refused):
        await execute(bench, named)
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-03")
async def test_without_a_register_nothing_is_prepared_or_executed():
    bench, upstream = await prepared_bench()
    named = await prepared(bench)
    bench.walk.verification.prepared = None
    await refused(bench, named, "prepared.unknown")
    assert not executed(upstream)
