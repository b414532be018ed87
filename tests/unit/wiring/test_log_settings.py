"""Which logs are followed is told by settings, and what is wrong with a line is told before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.wiring.log_settings import followed_in
from answerable.wiring.settings import parse_settings

pytestmark = pytest.mark.requirement("FOLLOW-03")
DATA = Path("/data")


def faults(*lines: str, more: str = "") -> list[str]:
    _, found = parse_settings(f"[logs]\nfollow = {[*lines]!r}\n{more}".encode(), data=DATA)
    return [one.message for one in found]


def test_a_line_names_target_kind_path_and_what_attribute_needs() -> None:
    line = 'shop-db,crm-db postgres log/pg.log account=app account=batch zone=+01:00 "prefix=%m|%c|%u|%a| "'
    settings, found = parse_settings(f"[logs]\nfollow = ['{line}']".encode(), data=DATA)
    assert settings is not None, found
    (log,) = followed_in(settings.logs, DATA)
    assert (log.targets, log.kind, log.path) == (("shop-db", "crm-db"), "postgres", "/data/log/pg.log")
    assert (log.accounts, log.zone, log.prefix) == (frozenset({"app", "batch"}), "+01:00", "%m|%c|%u|%a| ")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("db postgres", "expected TARGET KIND PATH"),
        ("db postgres 'x", "No closing quotation"),
        ("DB postgres x", "is not a name"),
        ("db oracle x", "no log of kind `oracle` is followed"),
        ("db cloudtrail x", "expected s3://BUCKET/PREFIX"),
        ("db cloudtrail /var/log/trail.json", "with region= and keys="),
        ("db cloudtrail s3://b!/x", "expected s3://BUCKET/PREFIX"),
        (
            "db cloudtrail s3://trail/x region=eu-central-1",
            "a bucket needs region= and keys=, the path of a file: keys= is missing",
        ),
        ("db cloudtrail s3://trail/x region=r keys=k endpoint=http://s3.example", "endpoint"),
        ("db nginx x region=eu-central-1", "are of a bucket"),
        ("db nginx x user=me", "expected account=, prefix=, zone="),
        ("web1 sshd journal:", "a journal is read with kind journald"),
        ("web1 journald journal:x", "expected `journal:`, or `journal:/DIRECTORY`"),
        ("web1 journald journal: unit=--file=/etc/shadow", "unit= is the name of a unit"),
        ("web1 journald journal: unit=ssh*", "unit= is the name of a unit"),
        ("web1 journald journal: region=r", "are of a bucket"),
        ("web1 journald x.json unit=ssh.service", "unit= is of a journal"),
        ("db nginx x zone=CET", "a zone is an offset"),
        ("db nginx x zone=+01:00 zone=+02:00", "only account= and unit= can be given several times"),
        ("db postgres x prefix=%d", "prefix"),
    ],
)
def test_what_is_wrong_with_a_line_is_a_fault_of_the_settings(line: str, why: str) -> None:
    (fault,) = faults(line)
    assert why in fault


def test_a_log_is_followed_once_and_by_the_process_that_answers_searches() -> None:
    assert faults("a nginx x", "a nginx x")[0].endswith("this log is followed already")
    (fault,) = faults("a nginx x", more="[search]\nenabled = false\n")
    assert fault.startswith("needs `search.enabled`")
    assert faults(*(f"a nginx {number}" for number in range(65))) == ["at most 64 logs can be followed"]
