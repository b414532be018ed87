"""Events of OCSF.

Their form is that of `mappings/markdown/AWS/v1.0.0-rc.2`, `v1.1.0` and `v1.5.0` in github.com/ocsf/examples at
45c82e30, and of the classes `http_activity` and `datastore_activity` of schema.ocsf.io.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from answerable.adapters.log_readers import LogTimes, OcsfLog, json_objects
from answerable.core.attribution.log_line import LogLine, UnreadLine
from tests.unit.adapters.log_readers.test_cloudtrail_log import ACTION, AT, KEYS

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")


def of_aws(session: str, agent: str = f"Boto3/1.40 answerable/{ACTION}", **more: object) -> dict[str, Any]:
    """A record of CloudTrail, as the mapping of OCSF 1.5 makes it."""
    user = {
        "account": {"uid": "112233445566"}, "credential_uid": "ASIA2W7SOKHEXAMPLE", "type": "AssumedRole",
        "uid": f"arn:aws:sts::112233445566:assumed-role/support/{session}", "uid_alt": f"AROA2W7SOKHEXAMPLE:{session}",
    }  # fmt: skip
    return event(
        6003, {"user": user, "session": {"issuer": "arn:aws:iam::112233445566:role/support"}, **more},
        api={"operation": "GetObject", "request": {"uid": KEYS[0][1]}, "service": {"name": "s3.amazonaws.com"}},
        cloud={"provider": "AWS", "region": "us-east-1"}, http_request={"user_agent": agent},
    )  # fmt: skip


def event(kind: int, actor: object, **more: object) -> dict[str, Any]:
    return {"class_uid": kind, "time": AT, "actor": actor, "metadata": {"version": "1.5.0"}, **more}


def read(*events: object) -> list[LogLine | UnreadLine]:
    text = "".join(f"{json.dumps(one)}\n" for one in events)
    return [*OcsfLog(LogTimes(zone=None, now=AT)).read(json_objects(io.BytesIO(text.encode())))]


def test_a_request_to_aws_is_told_as_from_its_own_record() -> None:
    ours = LogLine(1, AT, "ans_x", KEYS, ACTION, "support")
    assert read(of_aws("ans_x")) == [ours]
    older = of_aws("ans_x")
    older["actor"]["user"] |= {"uuid": older["actor"]["user"]["uid"], "uid": "AROA2W7SOKHEXAMPLE:ans_x"}
    assert read(older) == [ours]
    assert read(of_aws("ans_x", invoked_by="ecs.amazonaws.com")) == [
        LogLine(1, AT, "ans_x", (), ACTION, "support")
    ]


def test_who_acts_at_a_store_is_the_actor_and_not_whom_the_event_is_about() -> None:
    stored = event(6005, {"user": {"name": "ans_x", "uid": "7"}}, user={"name": "bob"})
    assert read(stored) == [LogLine(1, AT, "ans_x")]
    assert read(event(6005, {"user": {"uid": "ans_x"}})) == [LogLine(1, AT, "ans_x")]


def test_whoever_did_not_get_in_is_nobody() -> None:
    begun = event(3002, {}, user={"name": "ans_x"}, status_id=1)
    assert read(begun) == [LogLine(1, AT, "ans_x")]
    assert read({**begun, "status_id": 2}, {**begun, "status_id": 99}) == [
        LogLine(1, AT, ""),
        LogLine(2, AT, ""),
    ]
    assert read(event(3002, {"user": {"name": "ans_x"}}, status="Success")) == [LogLine(1, AT, "ans_x")]


def test_a_request_over_http_has_its_servers_id_and_its_user_is_a_second_name() -> None:
    asked = {"uid": "b8f8", "user_agent": f"answerable/{ACTION}"}
    web = event(4002, {"user": {"name": "crm-bot"}}, http_request=asked, http_response={"code": 200})
    assert read(web) == [LogLine(1, AT, "", (("http_x_request_id", "b8f8"),), ACTION, "crm-bot")]
    (refused,) = read({**web, "http_response": {"code": 401}})
    assert isinstance(refused, LogLine)
    assert refused.login == ""


def test_brackets_alone_are_no_log() -> None:
    times = LogTimes(zone=None, now=AT)
    told = [[*OcsfLog(times).read(json_objects(io.BytesIO(one)))] for one in (b"[" * 100_000, b"[]\n", b"")]
    assert told == [[UnreadLine(1, "broken")], [], []]


@pytest.mark.parametrize("broken", [{}, {"time": AT}, {"class_uid": 6003}, {"time": True, "class_uid": 6003}])
def test_what_is_no_event_is_counted(broken: object) -> None:
    assert read(broken, event(6003, [])) == [UnreadLine(1, "broken"), LogLine(2, AT, "")]
