"""The accounts of followed logs join the inventory where the settings say so, and only there."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from answerable.core.attribution.seen_account import OF_LEASES, SeenAccount
from answerable.core.lease.name import account_of
from answerable.wiring import followed_accounts
from answerable.wiring.seen_accounts import SEEN, seen_accounts
from answerable.wiring.settings import parse_settings
from tests.unit.wiring.test_kept_logs import LEASES, NOW, SETTINGS, Lab, lab, line

__all__ = ["lab"]
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ACCOUNT-05", "ACCOUNT-02")]


def keeps(lab: Lab, accounts: str = "true") -> None:
    settings, faults = parse_settings(f"{SETTINGS}accounts = {accounts}\n".encode(), data=lab.root)
    assert settings is not None, faults
    lab.settings = settings


def numbers(place: Path) -> dict[str, tuple[int, int]]:
    return {one.name: (one.lines, one.past) for one in seen_accounts(place / SEEN)}


async def mixed(lab: Lab) -> None:
    """Lines of an agent, of somebody past the broker, of a person, and of one who comes twice."""
    await lab.acts(1, begun=0)
    lab.writes(
        line(-10, "c.1", "maria"),
        line(0.5, "a.1", account_of(LEASES[1])),
        line(1, "b.9", account_of(LEASES[1])),
        line(2, "c.2", "maria"),
        line(3, "c.3", "shared"),
        line(60, "c.4", "payroll"),
    )
    lab.now = NOW + 90_000


async def test_each_account_is_kept_with_its_times_and_numbers_and_nothing_else(lab: Lab):
    keeps(lab)
    await mixed(lab)
    with lab.follower() as logs:
        lab.told(logs)
    found = {one.name: one for one in seen_accounts(lab.root / SEEN)}
    assert found["maria"] == SeenAccount("db", "maria", "postgres", NOW - 10_000, NOW + 2_000, 2, 0)
    assert numbers(lab.root) == {
        "maria": (2, 0),
        "payroll": (1, 0),
        "shared": (1, 1),
        OF_LEASES: (1, 0),
        account_of(LEASES[1]): (1, 1),
    }
    assert "secret" not in (lab.root / SEEN).read_text()


async def test_a_line_counts_once_over_restarts_and_when_the_log_is_read_again(lab: Lab):
    keeps(lab)
    await mixed(lab)
    standing = lab.settings.logs.standing
    for content in ("", standing.name, ""):
        with lab.follower() as logs:
            lab.told(logs)
        if content:
            standing.unlink()
    assert numbers(lab.root)["maria"] == (2, 0)
    lab.writes(line(70, "c.5", "maria"))
    with lab.follower() as logs:
        lab.told(logs)
    assert numbers(lab.root)["maria"] == (3, 0)


async def test_a_line_that_waits_for_the_record_does_not_count_yet(lab: Lab):
    keeps(lab)
    intent = await lab.acts(1, begun=0, ends=False)
    lab.writes(line(0.5, "a.1", account_of(LEASES[1])), line(9, "c.1", "maria"))
    lab.now = NOW + 20_000
    with lab.follower() as logs:
        lab.told(logs)
    assert not (lab.root / SEEN).exists()
    await lab.ends(1, intent, ended=1, session="a.1")
    with lab.follower() as logs:
        lab.told(logs)
    assert numbers(lab.root) == {OF_LEASES: (1, 0), "maria": (1, 0)}


async def test_nothing_is_kept_unless_the_settings_say_so_and_what_was_is_forgotten(lab: Lab):
    await mixed(lab)
    with lab.follower() as logs:
        lab.told(logs)
    assert not (lab.root / SEEN).exists()
    assert "maria" not in lab.settings.logs.standing.read_text()
    keeps(lab)
    lab.writes(line(70, "c.5", "maria"))
    with lab.follower() as logs:
        lab.told(logs)
    assert "maria" in lab.settings.logs.standing.read_text()
    keeps(lab, "false")
    (lab.root / SEEN).unlink()
    with lab.follower() as logs:
        lab.told(logs)
    assert "maria" not in lab.settings.logs.standing.read_text()
    assert not (lab.root / SEEN).exists()


async def test_who_tries_many_names_fills_nothing_and_hides_nobody_who_is_there_often(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(followed_accounts, "ACCOUNTS_MAX", 2)
    keeps(lab)
    await lab.acts(1, begun=0)
    often = [line(second, "c.1", "maria") for second in range(-9, -5)]
    lab.writes(*often, *(line(number / 100, f"d.{number}", f"tried{number}") for number in range(50)))
    lab.now = NOW + 90_000
    with lab.follower() as logs:
        lab.told(logs)
    found = numbers(lab.root)
    assert found["maria"] == (4, 0)
    assert len(found) <= 8


async def test_a_file_of_others_in_its_place_is_told_once_and_the_log_is_read_on(
    lab: Lab, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(followed_accounts, "KEEP_SECONDS", 0.0)
    keeps(lab)
    (lab.root / SEEN).write_text("somebody's")
    await mixed(lab)
    with caplog.at_level(logging.ERROR, "answerable.logs"), lab.follower() as logs:
        told = lab.told(logs)
    assert told.logs.items[0].state == "ok"
    assert (lab.root / SEEN).read_text() == "somebody's"
    assert sum("accounts of followed logs are not kept" in one.message for one in caplog.records) == 1
    (lab.root / SEEN).unlink()
    with lab.follower() as logs:
        lab.told(logs)
    assert numbers(lab.root)["maria"] == (2, 0)
