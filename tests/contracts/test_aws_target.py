"""The tool `request` on AWS, against moto with the session policies that we add to it."""

from __future__ import annotations

import json
from itertools import count

import pytest

from answerable.adapters.aws_sts import AwsTarget
from answerable.core.canonical import freeze
from answerable.core.lease.credential import LeaseOrder
from answerable.errors import Refused, Unavailable
from tests.contracts.test_aws_leases import AwsBench, server
from tests.stand_ins.moto_server import BUCKET, ROLE

__all__ = ["server"]
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("AWS-06")]

IN_CASE = {"arn": f"arn:aws:s3:::{BUCKET}/42", "below": True}
SCOPE = freeze(
    {
        "role": ROLE,
        "statements": [
            {"effect": "Allow", "actions": ["s3:GetObject", "s3:PutObject"], "resources": [IN_CASE]},
            {"effect": "Allow", "actions": ["s3:ListAllMyBuckets"], "resources": ["arn:aws:s3:::cases"]},
        ],
    }
)

NUMBERS = count(1)


@pytest.fixture
def bench(server):
    return AwsBench(server)


async def performed(bench, arguments, *, tool="request", tag="act1", seconds_max=10.0, bytes_max=100_000):
    target = AwsTarget(clients=bench.issuer._clients, bytes_max=bytes_max)
    order = bench.order(next(NUMBERS))
    credential = await bench.issuer.issue(
        LeaseOrder(name=order.name, scope=SCOPE, expires_at=order.expires_at)
    )
    try:
        async with target.connected(credential) as session:
            done = await session.perform(tool, arguments, tag=tag, seconds_max=seconds_max)
    finally:
        await bench.issuer.revoke(credential.lease)
    for secret in ("secret_key", "session_token"):
        assert credential.secret.reveal(secret) not in repr(done) + repr(session)
    return done


def asked(operation, **parameters):
    return {"service": "s3", "operation": operation, "parameters": {"Bucket": BUCKET, **parameters}}


async def test_an_object_is_put_and_got_and_cloudtrail_can_name_it(bench):
    put = await performed(bench, asked("PutObject", Key="42/new", Body="größer"))
    assert not put.result["isError"]
    got = await performed(bench, asked("GetObject", Key="42/new"))
    answer = got.result["structuredContent"]["answer"]
    assert answer["Body"] == {"text": "größer"}
    assert "ResponseMetadata" not in answer
    session = dict(got.session)
    assert session["aws_access_key"].startswith("ASIA")
    assert session["aws_request_id"]


async def test_bytes_go_both_ways_as_base64(bench):
    await performed(bench, asked("PutObject", Key="42/new", Body={"base64": "AP8="}))
    got = await performed(bench, asked("GetObject", Key="42/new"))
    assert got.result["structuredContent"]["answer"]["Body"] == {"base64": "AP8="}


async def test_an_operation_goes_by_the_action_that_iam_knows_it_by(bench):
    listed = await performed(bench, {"service": "s3", "operation": "ListBuckets"})
    assert listed.result["structuredContent"].get("error", "AccessDenied") == "AccessDenied"
    with pytest.raises(Refused):
        await performed(bench, {"service": "s3", "operation": "ListBuckets", "parameters": {"Unheard": "of"}})


async def test_what_aws_refuses_is_a_result_in_its_words(bench):
    refused = await performed(bench, asked("GetObject", Key="43/a"))
    assert refused.result["isError"]
    assert refused.result["structuredContent"]["error"] == "AccessDenied"
    assert "AccessDenied" in refused.result["content"][0]["text"]


async def test_a_long_object_is_cut_and_says_so(bench):
    await performed(bench, asked("PutObject", Key="42/new", Body="x" * 5000))
    got = await performed(bench, asked("GetObject", Key="42/new"), bytes_max=1000)
    assert got.result["structuredContent"]["answer"]["Body"] == {"text": "x" * 1000, "cut": True}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("other", asked("GetObject", Key="42/a")),
        ("request", {}),
        ("request", {"service": "s3"}),
        ("request", {**asked("GetObject", Key="42/a"), "endpoint": "http://other.example"}),
        ("request", asked("DeleteObject", Key="42/a")),
        ("request", asked("ListObjectsV2")),
        ("request", {"service": "sts", "operation": "AssumeRole", "parameters": {}}),
        ("request", {"service": "../s3", "operation": "GetObject"}),
        ("request", {"service": "s3", "operation": "__class__"}),
        ("request", {"service": "s3", "operation": "GetObject", "parameters": []}),
        ("request", asked("GetObject", Key=7)),
        ("request", asked("GetObject")),
        ("request", asked("GetObject", Key="42/a", Unheard="of")),
        ("request", asked("GetObject", Key="42/a", self="of")),
        ("request", {"service": "s3", "operation": "ListAllMyBuckets"}),
        ("request", asked("GetObject", Key="")),
        (
            "request",
            {"service": "s3", "operation": "GetObject", "parameters": {"Bucket": "a/../b", "Key": "a"}},
        ),
        ("request", asked("PutObject", Key="42/a", Body={"base64": "!"})),
        ("request", asked("PutObject", Key="42/a", Body={"base64": "AA==", "more": 1})),
        ("request", asked("PutObject", Key="42/a", Body=7)),
    ],
)
async def test_hostile_or_other_requests_are_refused_before_anything_is_sent(bench, tool, arguments):
    with pytest.raises(Refused) as refused:
        await performed(bench, arguments, tool=tool)
    assert refused.value.code == "target.arguments"


async def test_an_aws_that_is_away_says_that_nothing_was_sent(bench):
    order = bench.order()
    credential = await bench.issuer.issue(
        LeaseOrder(name=order.name, scope=SCOPE, expires_at=order.expires_at)
    )
    await bench.stop()
    try:
        async with AwsTarget(clients=bench.issuer._clients).connected(credential) as session:
            with pytest.raises(Unavailable) as raised:
                await session.perform("request", asked("GetObject", Key="42/a"), tag="", seconds_max=2)
    finally:
        await bench.start()
    assert (raised.value.code, raised.value.effect) == ("target.unreachable", "none")
    assert credential.secret.reveal("secret_key") not in repr(raised.value)


@pytest.mark.requirement("AWS-05")
async def test_nothing_of_the_machines_own_configuration_is_used(bench, tmp_path, monkeypatch):
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = http://127.0.0.1:1\n")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "canary",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_PROFILE": "unheard-of",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
        "AWS_CA_BUNDLE": "/nowhere",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "AWS_MAX_ATTEMPTS": "9",
    }.items():
        monkeypatch.setenv(name, value)
    got = await performed(bench, asked("GetObject", Key="42/a"))
    assert not got.result["isError"]


def test_its_tool_is_closed_and_says_all_four_hints(server):
    (tool,) = AwsTarget(clients=None).tools()
    assert tool["inputSchema"]["additionalProperties"] is False
    assert len(tool["annotations"]) == 4
    json.dumps(tool)
