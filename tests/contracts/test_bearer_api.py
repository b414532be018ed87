"""The tool `request` on an API: what leaves, what comes back, and what never does either."""

from __future__ import annotations

import json

import anyio
import pytest

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, Secret
from answerable.core.lease.name import lease_name
from answerable.errors import Refused, Unavailable
from answerable.targets.bearer_api import AnswerLimits, ApiShape, BearerTarget
from tests.stand_ins.api_stand_in import ApiStandIn, Told

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("K8S-05")]

CANARY = "token-canary-51f2c8"
NAME = lease_name(bytes(16))
SHAPE = ApiShape(
    name="the API",
    description="Ask it.",
    content_types=("application/json", "application/merge-patch+json"),
    headers=(("x-api-version", "1"),),
    tag_header="x-request-tag",
    session_headers=(("api_request", "x-request-id"),),
)


class Echo(ApiStandIn):
    """Answers what a test put there, by default what it was asked with."""

    def __init__(self) -> None:
        self.told: Told | None = None
        super().__init__()

    def answer(self, asked) -> Told:
        return self.told or Told(
            json={"target": asked.target, "headers": asked.headers, "body": asked.body},
            headers={"x-request-id": "r-7"},
        )


@pytest.fixture
def api():
    made = Echo()
    yield made
    made.stop()


def credential(rules=None) -> Credential:
    texts = {"token": CANARY} | ({} if rules is None else {"requests": encode(rules).decode()})
    return Credential(lease=NAME, account="", expires_at=UnixMillis(0), secret=Secret(**texts))


async def performed(
    api, arguments, *, rules=None, tag="act1", tool="request", seconds_max=5.0, bytes_max=4096
):
    target = BearerTarget(url=api.url + "/v3", shape=SHAPE, limits=AnswerLimits(bytes_max=bytes_max))
    async with target.connected(credential(rules)) as session:
        return await session.perform(tool, arguments, tag=tag, seconds_max=seconds_max)


async def test_a_request_goes_out_as_it_was_asked_with_the_token_of_the_lease_and_the_tag_of_the_action(api):
    arguments = {
        "method": "PATCH",
        "path": "/cases/à 1",
        "query": {"q": "a&b=c"},
        "body": {"state": "open"},
        "contentType": "application/merge-patch+json",
    }
    done = await performed(api, arguments)
    assert not done.result["isError"]
    assert done.session == (("api_request", "r-7"),)
    sent = api.asked[-1]
    assert (sent.method, sent.target) == ("PATCH", "/v3/cases/%C3%A0%201?q=a%26b%3Dc")
    assert sent.body == {"state": "open"}
    assert sent.bearer == CANARY
    assert sent.headers["content-type"] == "application/merge-patch+json"
    assert sent.headers["x-api-version"] == "1"
    assert sent.headers["x-request-tag"] == "act1"
    assert sent.headers["user-agent"] == "answerable/act1"


async def test_a_server_that_repeats_the_token_does_not_get_it_to_the_agent(api):
    done = await performed(api, {"method": "GET", "path": "/echo"})
    assert CANARY not in json.dumps(done.result)
    assert done.result["structuredContent"]["json"]["headers"]["authorization"] == "Bearer (hidden)"
    escaped = "".join(f"\\u{ord(one):04x}" for one in CANARY)
    for told in (
        Told(status=500, json=f"your token was {CANARY}"),
        Told(json=f'{{"{CANARY}": "{escaped}", "n": 1}}', headers={"content-type": "application/json"}),
        Told(status=302, headers={"location": f"https://other.example/?t={CANARY}"}),
    ):
        api.told = told
        done = await performed(api, {"method": "GET", "path": "/echo"})
        assert CANARY not in json.dumps(done.result)


async def test_a_redirect_is_told_and_not_followed(api):
    api.told = Told(status=307, headers={"location": api.url + "/elsewhere"})
    done = await performed(api, {"method": "GET", "path": "/a"})
    assert done.result["structuredContent"]["status"] == 307
    assert done.result["structuredContent"]["headers"]["location"] == api.url + "/elsewhere"
    assert [one.path for one in api.asked] == ["/v3/a"]


async def test_a_long_answer_is_cut_and_says_so(api):
    api.told = Told(json={"a": "x" * 100_000})
    done = await performed(api, {"method": "GET", "path": "/a"})
    told = done.result["structuredContent"]
    assert told["cut"] is True
    assert len(told["text"]) == 4096
    assert "cut" in done.result["content"][0]["text"]


async def test_what_the_api_refuses_is_a_result_in_its_words(api):
    api.told = Told(status=403, json={"message": "not yours"})
    done = await performed(api, {"method": "GET", "path": "/a"})
    assert done.result["isError"]
    assert done.result["structuredContent"] == {
        "status": 403,
        "cut": False,
        "headers": {"content-type": "application/json"},
        "json": {"message": "not yours"},
    }
    assert "not yours" in done.result["content"][0]["text"]


@pytest.mark.parametrize("body", ["{", '{"a":1,"a":2}', '{"n":123456789012345678901234567890}', ""])
async def test_json_that_readers_disagree_about_is_handed_on_as_text(api, body):
    api.told = Told(json=body, headers={"content-type": "application/json"})
    told = (await performed(api, {"method": "GET", "path": "/a"})).result["structuredContent"]
    assert told.get("text", "") == body
    assert "json" not in told


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("other", {"method": "GET", "path": "/a"}),
        ("request", {}),
        ("request", {"method": "GET"}),
        ("request", {"method": "GET", "path": "/a", "headers": {"host": "other.example"}}),
        ("request", {"method": "GET", "path": "/a", "body": {}}),
        ("request", {"method": "POST", "path": "/a", "body": {}, "contentType": "text/plain\r\nx: y"}),
        ("request", {"method": "GET", "path": "/../../admin"}),
        ("request", {"method": "GET", "path": "@other.example/"}),
        ("request", {"method": "GET", "path": "//other.example/"}),
        ("request", {"method": "GET", "path": "/a\r\nx: y"}),
        ("request", {"method": "GET", "path": "/a", "query": {"a": "b\r\nx: y"}}),
        ("request", {"method": "POST", "path": "/a", "body": "x" * 1_100_000}),
        ("request", {"method": "GET", "path": "/b"}),
        ("request", {"method": "DELETE", "path": "/a"}),
    ],
)
async def test_hostile_or_other_requests_are_refused_before_anything_is_sent(api, tool, arguments):
    with pytest.raises(Refused) as refused:
        await performed(api, arguments, rules=[{"methods": ["GET", "POST"], "path": "/a"}], tool=tool)
    assert refused.value.code == "target.arguments"
    assert not api.asked


@pytest.mark.parametrize("tag", ["", "a\r\nx: y", "a b", "x" * 65, "é"])
async def test_a_tag_that_is_no_plain_name_is_left_out(api, tag):
    await performed(api, {"method": "GET", "path": "/a"}, tag=tag)
    assert "x-request-tag" not in api.asked[-1].headers
    assert api.asked[-1].headers["user-agent"] == "answerable"


async def test_an_api_that_is_away_says_that_nothing_was_sent(api):
    api.stop()
    with pytest.raises(Unavailable) as raised:
        await performed(api, {"method": "POST", "path": "/a", "body": {}})
    assert (raised.value.code, raised.value.effect) == ("target.unreachable", "none")
    assert CANARY not in repr(raised.value)
    api.start()


async def test_an_api_that_does_not_answer_leaves_it_open_what_was_done(api):
    with api.lock, pytest.raises(Unavailable) as raised:
        await performed(api, {"method": "POST", "path": "/a", "body": {}}, seconds_max=0.3)
    assert (raised.value.code, raised.value.effect) == ("target.timeout", "unknown")


async def test_a_cancelled_request_ends_at_once(api):
    with api.lock, anyio.move_on_after(0.2) as scope:
        await performed(api, {"method": "POST", "path": "/a", "body": {}})
    assert scope.cancelled_caught


def test_its_tool_is_closed_and_says_all_four_hints():
    (tool,) = BearerTarget(url="http://127.0.0.1:1", shape=SHAPE).tools()
    assert tool["inputSchema"]["additionalProperties"] is False
    assert {"title", "description", "name"} <= tool.keys()
    assert len(tool["annotations"]) == 4


async def test_no_representation_of_a_session_shows_the_token(api):
    async with BearerTarget(url=api.url, shape=SHAPE).connected(credential()) as session:
        assert CANARY not in repr(session)
