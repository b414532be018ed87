"""Language models behind the broker: both chat APIs, counted, cut, and with the key nowhere to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from answerable.core.canonical import freeze
from answerable.errors import Refused, Unavailable
from tests.attack.test_http_requests import command_lines
from tests.stand_ins.model_provider_stand_in import StandIn, deputy_validity
from tests.worlds.http_target import order
from tests.worlds.model_provider import KEY, SMALL, chatted, target_on

pytestmark = pytest.mark.anyio

APIS = pytest.mark.parametrize("api", ["openai", "anthropic"])
STREAMS = pytest.mark.parametrize("stream", [False, True])
TOOL = {"name": "weather", "description": "of a city", "input_schema": {"type": "object"}}


@pytest.fixture
def provider() -> Iterator[StandIn]:
    with deputy_validity(KEY) as running:
        yield running


@pytest.mark.requirement("MODELLEASE-02")
@APIS
@STREAMS
async def test_both_apis_answer_alike_and_what_they_counted_is_told(
    provider: StandIn, api: str, stream: bool
) -> None:
    target = target_on(provider, api)
    credential = await target.issuer.issue(order(scope=SMALL))
    told: list[Any] = []
    found = await chatted(target, credential, stream=stream, told=told, system="be brief", temperature=0.5)
    assert found["text"] == "".join(f"word{one} " for one in range(20))
    usage = found["usage"]
    assert usage["counted_by"] == "provider"
    assert usage["output_tokens"] == provider.written == 20
    assert usage["total_tokens"] == usage["input_tokens"] + 20
    pico = usage["input_tokens"] * 250_000 + 20 * 2_000_000
    assert found["cost"] == {
        "minor_units": 1,
        "micro_units": -(-pico // 10**6),
        "currency": "USD",
        "prices_of": "2026-11-28",
    }
    assert found["session"]["http_request_id"] == "req-1"
    assert "".join(text for _, _, text in told) == (found["text"] if stream else "")
    path, headers, body = provider.asked[-1]
    assert path == ("/v1/messages" if api == "anthropic" else "/v1/chat/completions")
    assert headers["user-agent"] == "answerable/act1"
    assert body["temperature"] == 0.5


@pytest.mark.requirement("MODELLEASE-02")
@APIS
@STREAMS
async def test_calls_of_tools_go_there_and_back(provider: StandIn, api: str, stream: bool) -> None:
    target = target_on(provider, api)
    credential = await target.issuer.issue(order(scope=SMALL))
    found = await chatted(target, credential, stream=stream, tools=[TOOL], max_tokens=40)
    assert found["tool_calls"] == [{"id": "call-1", "name": "weather", "arguments": {"city": "Ulm"}}]
    messages = [
        {"role": "user", "content": "the weather?"},
        {"role": "assistant", "content": "", "tool_calls": found["tool_calls"]},
        {"role": "tool", "tool_call_id": "call-1", "content": "rain"},
    ]
    assert not (await chatted(target, credential, messages=messages, tools=[TOOL]))["isError"]
    sent = provider.asked[-1][2]["messages"]
    if api == "openai":
        assert sent[1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Ulm"}'}
        assert sent[2] == {"role": "tool", "tool_call_id": "call-1", "content": "rain"}
    else:
        assert sent[1]["content"] == [
            {"type": "tool_use", "id": "call-1", "name": "weather", "input": {"city": "Ulm"}}
        ]
        assert sent[2]["content"] == [{"type": "tool_result", "tool_use_id": "call-1", "content": "rain"}]


@pytest.mark.requirement("MODELLEASE-03")
@pytest.mark.parametrize(
    "more",
    [
        {"model": "large-1"},
        {"model": "SMALL-1"},
        {"model": "small-1 "},
        {"model": None},
        {"max_tokens": 101},
        {"max_tokens": 0},
        {"max_tokens": None},
        {"max_tokens": True},
        {"messages": []},
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user", "content": "x", "name": "y"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x", "tool_calls": [{"id": "1"}]}]},
        {"temperature": 3},
        {"stream": "yes"},
        {"n": 5},
        {"service_tier": "priority"},
        {"api_key": "mine"},
        {"tools": [{"name": "x", "cache_control": {}}]},
        {"tokens_max": 20},
        {"tokens_max": "lots"},
        {"cost_max": 0},
        {"cost_max": 0.5},
    ],
)
async def test_what_the_lease_or_the_reservation_does_not_cover_is_not_sent(
    provider: StandIn, more: dict[str, Any]
) -> None:
    target = target_on(provider)
    credential = await target.issuer.issue(order(scope=SMALL))
    with pytest.raises(Refused) as refused:
        await chatted(target, credential, **more)
    assert refused.value.code == "target.arguments"
    assert not provider.asked


@pytest.mark.requirement("MODELLEASE-03")
async def test_a_refusal_says_how_much_must_be_reserved_and_that_much_is_enough(provider: StandIn) -> None:
    target = target_on(provider)
    credential = await target.issuer.issue(order(scope=freeze({"models": ["small-1", "large-1", "other-1"]})))
    with pytest.raises(Refused) as refused:
        await chatted(target, credential, tokens_max=1)
    needed = int(refused.value.message.split("may take ")[1].split()[0])
    found = await chatted(target, credential, tokens_max=needed)
    assert found["usage"]["total_tokens"] <= needed
    with pytest.raises(Refused) as refused:
        await chatted(target, credential, model="large-1", max_tokens=5_000, cost_max=1)
    needed = int(refused.value.message.split("may cost ")[1].split()[0])
    assert needed >= 5_000 * 75 * 100 // 10**6
    found = await chatted(target, credential, model="large-1", max_tokens=5_000, cost_max=needed)
    assert found["cost"]["minor_units"] <= needed
    with pytest.raises(Refused) as unknown:
        await chatted(target, credential, model="other-1", cost_max=10_000)
    assert "no price" in unknown.value.message


@pytest.mark.requirement("MODELLEASE-03")
async def test_no_tools_are_offered_where_the_lease_lets_none(provider: StandIn) -> None:
    target = target_on(provider)
    credential = await target.issuer.issue(order(scope=freeze({"models": ["small-1"], "tools": False})))
    with pytest.raises(Refused):
        await chatted(target, credential, tools=[TOOL])
    assert not (await chatted(target, credential))["isError"]


@pytest.mark.requirement("MODELLEASE-04")
@APIS
async def test_a_stream_that_writes_more_than_was_reserved_is_cut_one_piece_later(
    provider: StandIn, api: str
) -> None:
    provider.words, provider.ignores_limit = 5_000, True
    target = target_on(provider, api)
    credential = await target.issuer.issue(order(scope=SMALL))
    found = await chatted(target, credential, stream=True)
    assert found["stop_reason"] == "reservation"
    assert found["usage"]["counted_by"] == "stream"
    assert found["usage"]["output_tokens"] == 21 or api == "anthropic"
    assert 20 <= found["usage"]["output_tokens"] <= 22
    assert found["text"].count("word") <= 21
    for _ in range(100):
        if provider.written < 5_000:
            break
        await anyio.sleep(0.02)


@pytest.mark.requirement("MODELLEASE-04")
@APIS
async def test_a_revoked_lease_stops_the_answer_that_is_being_made(provider: StandIn, api: str) -> None:
    target = target_on(provider, api)
    credential = await target.issuer.issue(order(scope=SMALL))
    provider.gate.clear()
    raised: list[Unavailable] = []

    async def slow() -> None:
        try:
            await chatted(target, credential, stream=True)
        except Unavailable as cut:
            raised.append(cut)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow)
            while not provider.asked:  # noqa: ASYNC110 - another thread's list
                await anyio.sleep(0.01)
            assert (await target.issuer.revoke(credential.lease)).sessions_cut == 1
    assert [(one.code, one.effect) for one in raised] == [("target.cut", "unknown")]


@pytest.mark.requirement("MODELLEASE-04")
@APIS
async def test_what_nobody_counted_is_not_said_to_be_little(provider: StandIn, api: str) -> None:
    provider.counts = False
    target = target_on(provider, api)
    credential = await target.issuer.issue(order(scope=SMALL))
    for stream in (False, True):
        found = await chatted(target, credential, stream=stream)
        assert "usage" not in found
        assert "cost" not in found


@pytest.mark.requirement("MODELLEASE-04")
@APIS
async def test_an_answer_that_breaks_off_is_not_said_to_have_cost_nothing(
    provider: StandIn, api: str
) -> None:
    provider.breaks_after = 3
    target = target_on(provider, api)
    credential = await target.issuer.issue(order(scope=SMALL))
    with pytest.raises(Unavailable) as lost:
        await chatted(target, credential, stream=True)
    assert lost.value.effect == "unknown"


@pytest.mark.requirement("MODELLEASE-05")
@APIS
@STREAMS
async def test_a_key_that_a_provider_repeats_is_hidden_also_where_it_comes_in_pieces(
    provider: StandIn, api: str, stream: bool
) -> None:
    provider.repeats = KEY
    target = target_on(provider, api)
    credential = await target.issuer.issue(order(scope=SMALL))
    told: list[Any] = []
    found = await chatted(target, credential, stream=stream, told=told, max_tokens=40)
    assert KEY not in repr(found)
    assert "[hidden: credential]" in found["text"]
    if stream:
        assert "".join(text for _, _, text in told) == found["text"]


@pytest.mark.requirement("MODELLEASE-05")
@APIS
async def test_the_key_is_in_no_error_log_or_process_list(
    provider: StandIn, api: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    target = target_on(provider, api)
    credential = await target.issuer.issue(order(scope=SMALL))
    provider.fails = 429
    found = await chatted(target, credential)
    assert found["isError"]
    assert found["status"] == 429
    assert "usage" not in found
    shown = repr(found) + repr(credential) + repr(target) + caplog.text + "".join(command_lines())
    assert KEY not in shown
    assert KEY in str(provider.asked[-1][1]), "it was sent to the provider alone"


@pytest.mark.requirement("MODELLEASE-05")
@APIS
async def test_only_models_of_the_lease_that_the_provider_has_are_listed(provider: StandIn, api: str) -> None:
    target = target_on(provider, api)
    credential = await target.issuer.issue(order(scope=freeze({"models": ["small-1", "gone-1"]})))
    found = await chatted(target, credential, tool="list_models")
    assert found["models"] == [
        {
            "model": "small-1",
            "input": 0.25,
            "output": 2.0,
            "currency": "USD",
            "prices_of": "2026-11-28",
            "source": "the stand-in's own list",
        }
    ]
    with pytest.raises(Refused):
        await chatted(target, credential, tool="list_models", all=True)
