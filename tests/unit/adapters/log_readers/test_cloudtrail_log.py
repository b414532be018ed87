"""Records of AWS CloudTrail.

Their form is that of `mappings/markdown/AWS/v1.1.0` and `v1.5.0` in github.com/ocsf/examples at 45c82e30, records as
CloudTrail wrote them; `sourceIdentity` is where the IAM user guide shows it ("Monitor and control actions taken with
assumed roles").
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from answerable.adapters.log_readers import CloudtrailLog, LogTimes, OcsfLog, json_objects
from answerable.core.attribution.log_line import LogLine, UnreadLine
from answerable.core.lease.name import account_of, lease_name
from tests.unit.core.attribution.test_attribute_line import Ledger, action
from tests.worlds.attributed import answers, bare

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

AT = 1_796_171_234_000
ACTION = f"{7:032x}"
KEYS = (("aws_request_id", "c99bf9da-e0bd-4bf7-bb32-1"), ("aws_access_key", "ASIA2W7SOKHEXAMPLE"))


def caller(session: str, source: str = "", **more: object) -> dict[str, Any]:
    issuer = {
        "type": "Role",
        "principalId": "AROA2W7SOKHEXAMPLE",
        "accountId": "112233445566",
        "userName": "support",
    }
    arn = "arn:aws:iam::112233445566:role/ai/support"
    context = {"sessionIssuer": {**issuer, "arn": arn}, "attributes": {"mfaAuthenticated": "false"}}
    return {
        "type": "AssumedRole", "principalId": f"AROA2W7SOKHEXAMPLE:{session}",
        "arn": f"arn:aws:sts::112233445566:assumed-role/support/{session}", "accountId": "112233445566",
        "accessKeyId": "ASIA2W7SOKHEXAMPLE",
        "sessionContext": {**context, **({"sourceIdentity": source} if source else {})}, **more,
    }  # fmt: skip


def record(
    identity: object, agent: str = f"[Boto3/1.40 answerable/{ACTION}]", **more: object
) -> dict[str, Any]:
    return {
        "eventVersion": "1.11", "userIdentity": identity, "eventTime": "2026-12-02T00:27:14Z",
        "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "awsRegion": "eu-central-1",
        "sourceIPAddress": "52.95.4.21", "userAgent": agent, "requestParameters": {"key": '},{"eventVersion":"1'},
        "responseElements": None, "requestID": "c99bf9da-e0bd-4bf7-bb32-1", "eventID": "7dd15a89", "readOnly": True,
        "eventType": "AwsApiCall", "managementEvent": False, "recipientAccountId": "112233445566", **more,
    }  # fmt: skip


def read(*records: object) -> list[LogLine | UnreadLine]:
    delivered = json.dumps({"Records": records}, separators=(",", ":"))
    singly = "".join(f"{json.dumps(one)}\n" for one in records)
    first, second = (
        [*CloudtrailLog(LogTimes(zone=None, now=AT)).read(json_objects(io.BytesIO(text.encode())))]
        for text in (delivered, singly)
    )
    assert first == second
    return bare(first)


def line(
    account: str, label: str = ACTION, keys: tuple[tuple[str, str], ...] = KEYS, role: str = "support"
) -> LogLine:
    return LogLine(1, AT, account, keys, label, role)


def test_the_account_of_a_role_is_its_session_and_the_role_is_its_second_name() -> None:
    assert read(record(caller("ans_x"))) == [line("ans_x")]
    assert read(record(caller("ans_x", "ans_x"), "aws-cli/2")) == [line("ans_x", "ans_x")]
    assert read(record(caller("ans_x", "ann"))) == [line("ans_x")]
    assert read(record(caller("ans_x"), "Boto3/1.40 answerable/x")) == [line("ans_x", "")]


def test_what_a_service_of_aws_asked_for_the_caller_is_no_session_of_the_broker() -> None:
    assert read(record(caller("ans_x", invokedBy="athena.amazonaws.com"))) == [line("ans_x", keys=())]


def test_others_have_their_own_names() -> None:
    ann = {"type": "IAMUser", "arn": "arn:aws:iam::1:user/ann", "accessKeyId": "AKIA1", "userName": "ann"}
    keys = (KEYS[0], ("aws_access_key", "AKIA1"))
    assert read(record(ann)) == [line("ann", keys=keys, role="")]
    root = {"type": "Root", "arn": "arn:aws:iam::1:root"}
    assert read(record(root)) == [line("arn:aws:iam::1:root", keys=KEYS[:1], role="")]
    assert read(record({"type": "AWSService", "invokedBy": "s3.amazonaws.com"}, "x")) == [LogLine(1, AT, "")]


@pytest.mark.parametrize("identity", [None, [], "x", {"arn": 7, "userName": ["ans_x"], "accessKeyId": {}}])
def test_members_of_another_kind_are_not_there(identity: object) -> None:
    assert read(record(identity, requestID=None)) == [line("", keys=(), role="")]


def test_half_a_character_is_replaced_and_what_is_no_record_is_counted() -> None:
    (found,) = read(record({"userName": "a\ud800"}))
    assert isinstance(found, LogLine)
    assert found.account == "a?"
    assert read({}, {"eventTime": 7}, {"time": 1}) == [UnreadLine(number, "broken") for number in (1, 2, 3)]
    assert read(record(caller("ans_x"), eventTime="never")) == [
        LogLine(1, 0, "ans_x", KEYS, ACTION, "support")
    ]


def as_ocsf(found: dict[str, Any]) -> dict[str, Any]:
    """A record as the mapping of OCSF 1.5 makes an event of it."""
    who = found["userIdentity"]
    user = {"uid": who["arn"], "uid_alt": who["principalId"], "credential_uid": who["accessKeyId"]}
    return {
        "class_uid": 6003, "time": AT, "cloud": {"provider": "AWS"}, "api": {"request": {"uid": found["requestID"]}},
        "actor": {"user": user, "invoked_by": who.get("invokedBy")}, "http_request": {"user_agent": found["userAgent"]},
    }  # fmt: skip


def of_cloudtrail(records: list[dict[str, Any]]) -> list[LogLine | UnreadLine]:
    return read(*records)


def of_ocsf(records: list[dict[str, Any]]) -> list[LogLine | UnreadLine]:
    text = "".join(json.dumps(as_ocsf(one)) for one in records)
    return [*OcsfLog(LogTimes(zone=None, now=AT)).read(json_objects(io.BytesIO(text.encode())))]


@pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-02", "ATTRIBUTE-03")
@pytest.mark.parametrize("form", [of_cloudtrail, of_ocsf])
def test_each_request_of_a_role_is_told_from_its_step(
    form: Callable[..., list[LogLine | UnreadLine]],
) -> None:
    task = lease_name(b"t" * 16)
    account, key = account_of(task), caller("x")["accessKeyId"]
    ledger = Ledger(until=AT + 600_000)
    for number in (1, 2):
        ledger.step(
            number, lease=task, account=account, at=AT - 500, aws_access_key=key, aws_request_id=f"r{number}"
        )
    ours, plain = caller(account), "aws-cli/2"
    records = {
        "the first": record(ours, plain, requestID="r1"),
        "the second, with its label": record(ours, f"Boto3 answerable/{action(2)}", requestID="r2"),
        "the second, with another": record(ours, f"Boto3 answerable/{action(1)}", requestID="r2"),
        "stolen": record(ours, plain, requestID="r9"),
        "a service for one of them": record(
            caller(account, invokedBy="athena.amazonaws.com"), plain, requestID="r8"
        ),
        "the role past the broker": record(caller("chen"), plain, requestID="r7"),
        "with a label of ours": record(caller("chen"), requestID="r6")
        | {"userAgent": f"answerable/{action(1)}"},
    }
    _, told = answers(form([*records.values()]), ledger.index(), "support")
    found = dict(zip(records, ((one.verdict, one.grade, one.action) for one in told), strict=True))
    assert found == {
        "the first": ("ours", "B", action(1)),
        "the second, with its label": ("ours", "B", action(2)),
        "the second, with another": ("forged", "B", action(2)),
        "stolen": ("bypass", "", ""),
        "a service for one of them": ("shared", "D", ""),
        "the role past the broker": ("bypass", "", ""),
        "with a label of ours": ("forged", "", ""),
    }


@pytest.mark.requirement("ATTRIBUTE-03")
def test_a_session_that_a_lease_opened_by_another_role_is_told() -> None:
    other = caller("whatever", account_of(lease_name(bytes.fromhex(ACTION))))
    ledger = Ledger(until=AT + 600_000).step(7, at=AT, aws_access_key="ASIA1", aws_request_id="r1")
    _, (told,) = answers(read(record(other, "aws-cli/2")), ledger.index())
    assert (told.verdict, told.grade) == ("forged", "")
