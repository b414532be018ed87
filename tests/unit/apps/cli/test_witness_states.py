"""Claims about what people are told of the witnesses, of receivers that take no events, and of alarms."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from answerable.apps.control_api.application import control_app
from answerable.core.incident.event_stream import EventStream
from answerable.flows.ledger.gather_cosignatures import WitnessState
from tests.probes.typed_lines import typed
from tests.worlds.control import memory_product

ALARM = WitnessState(
    name="far.example/w", state="alarm", reason="it was not reached", since=1_795_000_000_000
)


def said(
    data: Path, *arguments: str, code: int = 0, alarmed: bool = False, attempts: int = 0, differed: int = 0
) -> str:
    product = memory_product()
    for _ in range(differed):
        product.walk.verification.plans.drop("judged", 1_795_000_000_000)
    product.events.register.put(EventStream(id="s-1", receiver="siem", method="push", endpoint="https://s"))
    product.events.register.release("s-1", attempts=attempts, next_at=1_795_000_000_000)
    if alarmed:
        product = replace(product, witnesses=(*product.witnesses, ALARM))

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(product)

    result = typed(offline, [*arguments, "--data", str(data)])
    assert result.exit_code == code, result.output
    return result.stdout


def test_the_status_says_of_each_witness_how_it_is(tmp_path: Path) -> None:
    told = said(tmp_path, "status", alarmed=True)
    assert "local: cosigned size 3 at 2026-11-18T11:06:40.000Z" in told
    assert "new.example/w: not asked yet" in told
    assert "far.example/w: ALARM since 2026-11-18T11:06:40.000Z: it was not reached" in told
    members = json.loads(said(tmp_path, "status", "--json", alarmed=True))["witnesses"]
    assert [one["state"] for one in members] == ["ok", "waiting", "alarm"]
    assert (members[1]["cosigned_at"], members[1]["since"]) == (None, None)


def test_the_doctor_finds_a_witness_in_alarm(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert "witness local" in said(tmp_path, "doctor", alarmed=False)
    told = said(tmp_path, "doctor", code=5, alarmed=True)
    assert "witness far.example/w" in told
    assert "it was not reached" in told


@pytest.mark.requirement("HOUSE-61")
def test_status_and_doctor_tell_of_a_kept_plan_that_differed(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert "alarms" not in said(tmp_path, "status")
    assert "plans" not in said(tmp_path, "doctor")
    assert json.loads(said(tmp_path, "status", "--json"))["alarms"] == []
    told = said(tmp_path, "status", differed=2)
    assert "2 of the plans kept of actions differed from one made anew" in told
    assert "last at 2026-11-18T11:06:40.000Z in judged" in told
    assert "plans" in said(tmp_path, "doctor", code=5, differed=1)


def test_the_doctor_finds_a_receiver_that_has_taken_no_event_for_long(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert "siem" not in said(tmp_path, "doctor")
    assert "receiver siem" in said(tmp_path, "doctor", attempts=7)
    assert "tried 8 times" in said(tmp_path, "doctor", code=5, attempts=8)
