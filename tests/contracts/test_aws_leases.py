"""Leases on AWS: the contract of issuers against moto, which is not AWS.

Not proven here: AWS itself, how fast IAM spreads a denial, and any part of session policies and conditions but those
that tests/stand_ins/moto_with_session_policies.py adds to moto.
"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from answerable.adapters.aws_sts import AwsClients, AwsIssuer, AwsPlace
from answerable.adapters.aws_sts.clients import Keys
from answerable.adapters.aws_sts.denials import denial_policy
from answerable.adapters.system import SystemClock
from answerable.core.canonical import freeze
from answerable.core.lease.credential import LeaseOrder
from answerable.errors import Unavailable
from answerable.testing.contracts.credential_issuer import (
    CredentialIssuerContract,
    IssuerBench,
    is_account_of,
)
from tests.stand_ins.moto_server import BUCKET, OTHER_ROLE, REGION, ROLE, moto

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("AWS-01")]

IN_CASE = {"arn": [f"arn:aws:s3:::{BUCKET}", "42"], "below": True}
STATEMENT = {"effect": "Allow", "actions": ["s3:GetObject"], "resources": [IN_CASE]}
SCOPE = freeze({"role": ROLE, "statements": [STATEMENT]})


def scope(**members):
    return freeze({"role": ROLE, "statements": [{**STATEMENT, **members}]})


def resources(*arns):
    return scope(resources=list(arns))


HOSTILE = (
    scope(actions=["s3:*"]),
    scope(actions=["*"]),
    scope(actions=["s3:Get?bject"]),
    scope(actions=["s3:GetObject", "sts:AssumeRole"]),
    scope(actions=["iam:PutRolePolicy"]),
    scope(actions=["ecr:GetAuthorizationToken"]),
    scope(actions=[]),
    scope(effect="allow"),
    scope(condition={}),
    resources(),
    resources("*"),
    resources("arn:aws:s3:::*"),
    resources("arn:aws:s3:::cases/*"),
    resources("arn:aws:s3:::cases/4?/a"),
    resources("arn:aws:s3:::cases/${aws:username}/a"),
    resources("arn:aws:s3:::cases/../billing/a"),
    resources("arn:aws:s3:::cases//a"),
    resources('arn:aws:s3:::cases/42/a","arn:aws:s3:::cases/43/a'),
    resources("arn:aws:s3:::cases/42/a\n"),
    resources(["arn:aws:s3:::cases", "43/a"]),
    resources(["arn:aws:s3:::cases", "", "a"]),
    resources(["arn:aws:s3:::cases", ".."]),
    resources(["arn:aws:s3:::cases", "*"]),
    resources(["arn:aws:s3:::cases", None]),
    resources([]),
    resources({"arn": ["arn:aws:s3:::cases", ""], "below": True}),
    resources({"arn": "arn:aws:s3:::cases/", "below": True}),
    resources({"arn": "arn:aws:s3:::", "below": True}),
    resources({"arn": "arn:aws:s3:::cases/42", "below": "true"}),
    resources({"arn": "arn:aws:s3:::cases/42"}),
    freeze({"role": ROLE + "2", "statements": [STATEMENT]}),
    freeze({"role": ROLE, "statements": [STATEMENT], "sourceIdentity": "a b"}),
    freeze({"role": ROLE, "statements": [STATEMENT], "tags": {"aws:x": "y"}}),
    freeze({"role": ROLE, "statements": [STATEMENT], "tags": {"x": "*"}}),
    freeze({"role": ROLE, "statements": [{**STATEMENT, "effect": "Deny"}]}),
    freeze(
        {"role": ROLE, "statements": [{**STATEMENT, "resources": [f"arn:aws:s3:::cases/{'a' * 900}"] * 3}]}
    ),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


MODELS = AwsClients(AwsPlace(region=REGION))._models()
"""Read once, for they are large."""


class AwsBench(IssuerBench):
    scope = SCOPE
    hostile = HOSTILE
    denies = True

    def __init__(self, server) -> None:
        server.reset()
        self.moto = server
        self.clock = SystemClock()
        self.issuer = self.issuer_of_a_process(up_seconds=7200)

    def issuer_of_a_process(self, *, up_seconds: int, answer_seconds_max: float = 10.0) -> AwsIssuer:
        clients = AwsClients(AwsPlace(region=REGION, endpoint=self.moto.endpoint))
        clients._session = MODELS
        return AwsIssuer(
            clients=clients,
            keys=lambda: Keys(**self.moto.broker),
            roles=(ROLE, OTHER_ROLE),
            denies=self.denies,
            session_seconds_max=3600,
            answer_seconds_max=answer_seconds_max,
            clock=self.clock,
            started_at=self.clock.now() - up_seconds * 1000,
        )

    def now(self):
        return self.clock.now()

    def client(self, service, credential):
        secret = credential.secret
        return self.moto.client(
            service,
            aws_access_key_id=secret.reveal("access_key"),
            aws_secret_access_key=secret.reveal("secret_key"),
            aws_session_token=secret.reveal("session_token"),
        )

    async def tried(self, credential, service, operation, **parameters) -> bool:
        try:
            getattr(self.client(service, credential), operation)(**parameters)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (400, 401, 403):
                raise
            return False
        return True

    async def use(self, credential) -> bool:
        return await self.tried(credential, "s3", "get_object", Bucket=BUCKET, Key="42/a")

    def neighbours(self):
        tried = {
            "another case": ("s3", "get_object", {"Bucket": BUCKET, "Key": "43/a"}),
            "a case that begins alike": ("s3", "get_object", {"Bucket": BUCKET, "Key": "421/a"}),
            "another bucket": ("s3", "get_object", {"Bucket": "billing", "Key": "42/a"}),
            "another verb": ("s3", "put_object", {"Bucket": BUCKET, "Key": "42/a", "Body": b""}),
            "the list": ("s3", "list_objects_v2", {"Bucket": BUCKET}),
            "another role": ("sts", "assume_role", {"RoleArn": OTHER_ROLE, "RoleSessionName": "xx"}),
            "its own denial": ("iam", "list_role_policies", {"RoleName": "support"}),
        }
        return {
            what: lambda credential, how=how: self.tried(credential, how[0], how[1], **how[2])
            for what, how in tried.items()
        }

    async def stop(self) -> bool:
        if self.denies:
            self.moto.stop()
        return self.denies

    async def start(self) -> None:
        self.moto.start()

    async def passed(self, credential) -> None:
        self.moto.turn(credential.expires_at - self.now() + 1000)


class AwsBenchWithoutDenials(AwsBench):
    denies = False


class TestAwsIssuerOnMotoWithSessionPoliciesOfOurs(CredentialIssuerContract):
    @pytest.fixture
    def bench(self, server):
        return AwsBench(server)


class TestAwsIssuerThatMayNotDenyOnMotoWithSessionPoliciesOfOurs(CredentialIssuerContract):
    @pytest.fixture
    def bench(self, server):
        return AwsBenchWithoutDenials(server)


@pytest.fixture
def bench(server):
    return AwsBench(server)


def denials(bench, role="support") -> list[str]:
    bench.moto._post("reset-auth", b"inf")
    names = bench.moto.client("iam").list_role_policies(RoleName=role)["PolicyNames"]
    bench.moto._post("reset-auth", b"0")
    return [name for name in names if name.startswith("ans_")]


@pytest.mark.requirement("AWS-02")
async def test_the_session_is_named_by_the_lease_so_that_cloudtrail_leads_to_the_action(bench):
    order = bench.order()
    asked = {**SCOPE.thaw(), "sourceIdentity": "support-bot", "tags": {"mandate": "m-1"}}
    credential = await bench.issuer.issue(
        LeaseOrder(name=order.name, scope=freeze(asked), expires_at=order.expires_at)
    )
    who = bench.client("sts", credential).get_caller_identity()
    assert is_account_of(who["Arn"].rpartition("/")[2], order.name)
    assert credential.account == who["Arn"].rpartition("/")[2]
    assert credential.secret.reveal("access_key").startswith("ASIA")


@pytest.mark.requirement("AWS-03")
async def test_a_session_that_a_dead_broker_left_is_denied_by_its_name_on_every_role_it_may_have(bench):
    credential = await bench.issuer.issue(bench.order())
    after = bench.issuer_of_a_process(up_seconds=0)
    assert (await after.revoke(credential.lease)).is_gone
    assert not await bench.use(credential)
    assert len(denials(bench)) == len(denials(bench, "billing")) == 1


@pytest.mark.requirement("AWS-03")
async def test_without_denials_what_a_dead_broker_left_is_named_until_its_time_is_up(server):
    bench = AwsBenchWithoutDenials(server)
    credential = await bench.issuer.issue(bench.order())
    left = await bench.issuer_of_a_process(up_seconds=0).revoke(credential.lease)
    assert "before this one" in left.left[0]
    assert left.live_until > credential.expires_at
    assert (await bench.issuer_of_a_process(up_seconds=7200).revoke(credential.lease)).is_gone


@pytest.mark.requirement("AWS-03")
async def test_a_denial_that_is_needed_no_more_makes_room_for_the_next(bench):
    bench.moto._post("reset-auth", b"inf")
    old = f"ans_{bench.order(9).name}.1000000000"
    bench.moto.client("iam").put_role_policy(
        RoleName="support", PolicyName=old, PolicyDocument=denial_policy(bench.order(9).name)
    )
    bench.moto._post("reset-auth", b"0")
    credential = await bench.issuer.issue(bench.order())
    await bench.issuer.revoke(credential.lease)
    assert old not in denials(bench)
    assert len(denials(bench)) == 1


@pytest.mark.requirement("AWS-03")
async def test_a_role_that_has_no_room_for_a_denial_leaves_a_session_and_says_so(bench, monkeypatch):
    """moto sets no such limit: the answer is put in as the documentation of IAM words it."""
    credential = await bench.issuer.issue(bench.order())

    def full(*_, **__):
        answer = {"Error": {"Code": "LimitExceeded"}, "ResponseMetadata": {"HTTPStatusCode": 409}}
        raise ClientError(answer, "PutRolePolicy")

    monkeypatch.setattr("answerable.adapters.aws_sts.denials.deny", full)
    left = await bench.issuer.revoke(credential.lease)
    assert "no room" in left.left[0]
    assert left.live_until >= credential.expires_at


@pytest.mark.requirement("AWS-04")
@pytest.mark.parametrize("ttl_ms", [1_000, 1_000_000, 100_000_000])
async def test_a_session_lives_as_long_as_ordered_within_what_aws_and_the_settings_allow(bench, ttl_ms):
    credential = await bench.issuer.issue(bench.order(ttl_ms=ttl_ms))
    lives = credential.expires_at - bench.now()
    expected = min(max(ttl_ms, 900_000), 3_600_000)
    assert expected - 3_000 < lives <= expected


@pytest.mark.requirement("AWS-05")
async def test_no_error_repeats_the_brokers_key(bench):
    secret = bench.moto.broker["secret_key"]
    bench.moto.broker = {"access_key": bench.moto.broker["access_key"], "secret_key": "canary-" + "x" * 33}
    with pytest.raises(Unavailable) as raised:
        await bench.issuer.issue(bench.order())
    assert raised.value.effect == "none"
    for canary in (secret, "canary-"):
        assert canary not in repr(raised.value)
    assert "canary-" not in repr(Keys(**bench.moto.broker))


@pytest.mark.requirement("AWS-05")
async def test_keys_that_were_changed_are_taken_with_the_next_call(bench):
    kept = dict(bench.moto.broker)
    bench.moto.broker = {**kept, "secret_key": "wrong"}
    with pytest.raises(Unavailable):
        await bench.issuer.issue(bench.order())
    bench.moto.broker = kept
    assert await bench.use(await bench.issuer.issue(bench.order()))
