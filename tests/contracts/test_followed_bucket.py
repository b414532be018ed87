"""What CloudTrail delivers to a bucket is followed, on the S3 of moto."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from answerable.adapters.log_readers import CloudtrailLog, FollowedBucket, LogTimes, followed_bucket
from answerable.core.attribution.followed import BEGIN, LogMark
from answerable.core.attribution.log_line import LogLine
from answerable.core.lease.name import account_of
from answerable.wiring.settings import parse_settings
from tests.contracts.test_aws_leases import server
from tests.stand_ins.moto_server import REGION, Moto
from tests.unit.adapters.log_readers.test_cloudtrail_log import caller, record
from tests.unit.wiring.test_kept_logs import LEASES, NOW, Lab, lab

__all__ = ["lab", "server"]
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("FOLLOW-09")]

DAY = "2027/01/15"
"""That of NOW."""
WAIT_SECONDS_MAX = 20
T = TypeVar("T")


class Trail:
    """A bucket in which CloudTrail puts its files."""

    def __init__(self, moto: Moto, name: str) -> None:
        self.s3, self.name = moto.client("s3"), name
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    def delivers(
        self, *events: str, account: str = "1", region: str = "eu-central-1", day: str = DAY, minute: int = 0
    ) -> None:
        records = [record(caller(one), requestID=one, eventTime="2027-01-15T08:00:01Z") for one in events]
        self.puts(gzip.compress(json.dumps({"Records": records}).encode()), account, region, day, minute)

    def puts(self, content: bytes, account: str, region: str, day: str, minute: int) -> None:
        stamp = f"{day.replace('/', '')}T08{minute:02}Z"
        folder = f"org/AWSLogs/{account}/CloudTrail/{region}/{day}"
        key = f"{folder}/{account}_CloudTrail_{region}_{stamp}_x.json.gz"
        self.s3.put_object(Bucket=self.name, Key=key, Body=content)

    def source(self, mark: LogMark = BEGIN) -> FollowedBucket:
        reader = CloudtrailLog(LogTimes(zone=None, now=NOW))
        return FollowedBucket(
            lambda: self.s3, bucket=self.name, prefix="org/", reader=reader, mark=mark, look_seconds=0
        )


@pytest.fixture
def trail(server: Moto) -> Trail:
    server.reset()
    # Who may read it is another matter.
    server._post("reset-auth", b"inf")
    return Trail(server, "trail")


def until(look: Callable[[], T], is_done: Callable[[T], bool]) -> T:
    ends = time.monotonic() + WAIT_SECONDS_MAX
    while not is_done(found := look()):
        assert time.monotonic() < ends, found
        time.sleep(0.02)
    return found


def taken(source: FollowedBucket, count: int) -> tuple[list[str], LogMark]:
    """The accounts in the next so many files, and the mark behind them."""
    found, mark = list[str](), BEGIN
    for _ in range(count):
        chunk = until(lambda: source.read_on(now=NOW), lambda one: bool(one.records))
        for one in chunk.records:
            line = one.line
            found.append(line.account if isinstance(line, LogLine) else f"{line and line.why}")
            mark = chunk.mark_after(one)
            assert not one.end or chunk.digest(one)
    return found, mark


def idle(source: FollowedBucket) -> None:
    """Nothing comes in the next lists."""
    for _ in range(10):
        assert not source.read_on(now=NOW).records
        time.sleep(0.02)


def test_each_file_of_every_account_and_region_is_given_once_also_late_and_after_a_restart(
    trail: Trail,
) -> None:
    trail.delivers("a", "b", minute=5)
    trail.delivers("c", account="2", region="us-east-1", minute=7)
    trail.puts(b"\x1f\x8bno gzip", "1", "eu-central-1", DAY, 9)
    trail.puts(json.dumps({"Records": []}).encode(), "1", "eu-central-1", DAY, 10)
    for key in ("org/AWSLogs/1/CloudTrail-Digest/eu-central-1/2027/01/15/d.json.gz", "org/else.txt"):
        trail.s3.put_object(Bucket=trail.name, Key=key, Body=b"{}")
    source = trail.source()
    found, mark = taken(source, 4)
    assert found == ["a", "b", "c", "broken", "None"]
    idle(source)
    trail.delivers("late", region="eu-west-1", day="2027/01/14")
    trail.delivers("too late", day="2027/01/12")
    assert taken(source, 1)[0] == ["late"]
    source.close()
    # A restart that did not keep the last of it reads that again, and nothing else.
    again = trail.source(mark)
    found, mark = taken(again, 1)
    assert found == ["late"]
    idle(again)
    again.close()
    assert len(mark.objects) == 5


def test_no_name_and_no_record_that_somebody_puts_there_hides_other_files(trail: Trail) -> None:
    for later in ("9999/12/31", "9999/99/99"):
        key = f"org/AWSLogs/1/CloudTrail/eu-central-1/{DAY}/{later}/x.json"
        trail.s3.put_object(Bucket=trail.name, Key=key, Body=b'{"Records": []}')
    odd = json.dumps(
        {"Records": [record(caller("odd"), userAgent="\ud800", eventTime="2027-01-15T08:00:01Z")]}
    )
    trail.puts(odd.encode(), "1", "eu-central-1", DAY, 4)
    trail.delivers("a", minute=5)
    source = trail.source()
    found, mark = taken(source, 2)
    source.close()
    assert found == ["odd", "a"]
    assert {one[:8] for one in mark.objects} == {DAY.replace("/", "")}


def test_a_file_with_more_records_than_are_read_is_told_as_one_that_is_broken(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_bucket, "RECORDS_MAX", 2)
    trail.delivers("a", "b", "c")
    source = trail.source()
    assert taken(source, 1)[0] == ["a", "b", "broken"]
    source.close()


def test_half_of_a_file_is_not_behind_the_mark(trail: Trail) -> None:
    trail.delivers("a", "b")
    source = trail.source()
    chunk = until(lambda: source.read_on(now=NOW), lambda one: bool(one.records))
    source.close()
    assert chunk.mark_after(chunk.records[0]) == BEGIN
    again = trail.source(chunk.mark_after(chunk.records[0]))
    assert taken(again, 1)[0] == ["a", "b"]
    again.close()


def test_a_bucket_that_is_not_there_is_told(trail: Trail) -> None:
    source = trail.source()
    trail.s3.delete_bucket(Bucket=trail.name)
    assert until(lambda: source.read_on(now=NOW).trouble, bool) == "no bucket"
    source.close()


async def test_what_a_bucket_shows_is_recorded_once(
    lab: Lab, trail: Trail, server: Moto, tmp_path: Path
) -> None:
    keys = {"access_key": "root", "secret_key": "root"}
    line = f"db cloudtrail s3://trail/org region={REGION} endpoint={server._direct} keys=keys.json"
    settings, faults = parse_settings(f"[logs]\nfollow = ['{line}']\n".encode(), data=tmp_path)
    assert settings is not None, faults
    lab.settings = settings
    await lab.acts(1, begun=0)
    trail.delivers(account_of(LEASES[8]), "somebody", minute=1)
    lab.now = NOW + 90_000
    with lab.follower() as logs:
        told = until(lambda: lab.told(logs), lambda one: one.logs.items[0].state == "fault")
        assert told.logs.items[0].reason.startswith("the file of its keys is none")
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    with lab.follower() as logs:
        told = until(lambda: lab.told(logs), lambda one: bool(one.findings))
        assert [(one.verdict, one.account) for one in told.findings] == [("bypass", account_of(LEASES[8]))]
        assert told.logs.items[0].lines == {"bypass": 1, "others": 1}
        await lab.records(told)
    trail.delivers("somebody else", minute=2)
    with lab.follower() as logs:
        again = until(lambda: lab.told(logs), lambda one: one.logs.items[0].lines["others"] == 2)
        assert (again.findings, again.logs.items[0].lines["bypass"]) == ((), 1)
