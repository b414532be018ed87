"""A real `up` on registers of which single rows cannot be read: it starts, names them, and refuses what they are about;
and one on whose registers somebody answered for another."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import pytest

from answerable.sdk.keyfile import create_key
from tests.system.test_approval_faults import ASK, PERMIT, approve, asked, has_run
from tests.worlds.shard_house import House, made_house, until

DEPUTY = """\
---
apiVersion: answerable/v1
kind: Principal
metadata: {name: emil}
spec: {displayName: Emil, groups: [other], keyFile: emil.pub.jwk}
---
apiVersion: answerable/v1
kind: Duty
metadata: {name: support-leads}
spec:
  group: support-leads
  timeZone: Europe/Berlin
  shifts: [{people: [chen, bela]}]
  deputies: [other]
"""


@pytest.fixture
def house() -> Iterator[House]:
    with made_house() as made:
        made.without_witness()
        registry = made.world.registry / "registry.yaml"
        text = registry.read_text()
        assert text.count(PERMIT) == 1
        registry.write_text(text.replace(PERMIT, PERMIT + ASK) + DEPUTY)
        key = create_key(made.world.key("emil"), seed=bytes([9]) * 32)
        (made.world.registry / "emil.pub.jwk").write_text(key.public.jwk)
        made.command("a", "apply", "-f", str(made.world.registry))
        yield made


def signed(house: House, person: str) -> tuple[str, ...]:
    return ("--as", person, "--key", str(house.world.key(person)), "--yes")


def damage(house: House, *statements: str) -> None:
    connection = sqlite3.connect(house.data / "answerable.db")
    for statement in statements:
        assert connection.execute(statement).rowcount == 1, statement
    # As a fault of the disk leaves it: of what somebody writes by hand the start makes what the ledger says.
    connection.execute("UPDATE touched SET by_others = 0")
    connection.commit()
    connection.close()


def faults(house: House, code: int = 5) -> list[str]:
    """What `doctor` says of the registers."""
    found = json.loads(house.command("a", "doctor", "--json", code=code).stdout)
    return [one["says"] for one in found if one["name"] == "registers"]


@pytest.mark.requirement("READBACK-01")
def test_a_deputy_answers_what_was_asked_runs_and_a_later_start_reads_it(house: House) -> None:
    with house.up("a") as a:
        hand_over = ("duty", "delegate", "support-leads", "--to", "emil", "--until", "1d", "--reason", "away")
        house.command("a", *hand_over, *signed(house, "chen"))
        first, second = house.issue("a"), house.issue("a")
        used, unused = asked(a, first), asked(a, second)
        for one in (used, unused):
            house.command("a", "approval", "approve", one, *signed(house, "emil"))
        until(lambda: has_run(a.call(first)), "the action that a deputy allowed")
        house.command("a", "approval", "list", "--state", "all")
        assert a.process.poll() is None
    with house.up("a") as a:
        assert unused in house.command("a", "approval", "list", "--state", "approved", "--json").stdout
        until(lambda: has_run(a.call(second)), "the action that a deputy allowed before the start")


@pytest.mark.requirement("READBACK-04")
def test_rows_that_cannot_be_read_are_named_at_start_and_by_doctor_and_their_neighbours_work(
    house: House,
) -> None:
    with house.up("a") as a:
        first, second, third = (house.issue("a") for _ in range(3))
        spoilt, waiting = asked(a, first), asked(a, second)
        for one in (spoilt, waiting):
            approve(house, one)
        house.command("a", "revoke", "agent", "rover", "--yes")
        house.command("a", "stop", "other", "--kind", "server", "--no-wait")
    damage(
        house,
        f"UPDATE approvals SET body = x'7b7d' WHERE id = '{spoilt}'",
        f"UPDATE mandates SET claims = x'7b7d' WHERE id = '{third}'",
        "UPDATE revocations SET kind = 'nothing'",
        "UPDATE holds SET name = 'no such name'",
    )
    with house.up("a") as a:
        for name in (spoilt, third):
            a.says(f"`{name}` cannot be read and is out of use")
        approvals = house.command("a", "approval", "list", "--state", "all", "--json").stdout
        assert waiting in approvals
        assert spoilt not in approvals
        until(lambda: has_run(a.call(second)), "what the neighbouring row allows")
        assert not has_run(a.call(first)), "nothing runs by a row that cannot be read"
        assert not has_run(a.call(third))
        house.command("a", "approval", "approve", spoilt, *signed(house, "chen"), code=1)
        said = "\n".join(faults(house))
        assert spoilt in said
        assert third in said
        # What ended is still ended, for the start brought both back from the ledger.
        assert "rover" in house.command("a", "revoke", "--list").stdout
        assert "other" in house.command("a", "hold", "list").stdout


@pytest.mark.requirement("READBACK-04")
def test_a_hold_that_no_ledger_knows_and_nobody_can_read_holds_everything(house: House) -> None:
    with house.up("a") as a:
        mandate = house.issue("a")
        asked(a, mandate)
    damage(
        house,
        "INSERT INTO holds (id, kind, name, at, made_by, reason, expires_at, source, rule, agreed, lifted_at, change, "
        "recorded) VALUES ('hold_AAAAAAAAAAAAAAAAAAAAAA', 'nothing', 'x', 1, 'chen', '', 0, 'person', '', x'5b5d', 0, "
        "99, 0)",
    )
    with house.up("a") as a:
        until(lambda: "everything is held" in a.no(mandate), "the upstream, and the refusal")
        assert "hold_AAAAAAAAAAAAAAAAAAAAAA" in "\n".join(faults(house))
        house.command("a", "hold", "list")
