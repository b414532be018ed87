"""When an incident was detected, by what people stopped."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from tests.unit.flows.test_incidents import HOUR, clock
from tests.worlds.incident_statements import incident_of, opened
from tests.worlds.parts import revoked
from tests.worlds.stories import told_bench


@pytest.mark.anyio
@pytest.mark.requirement("INCIDENT-02")
async def test_a_revocation_or_an_instance_that_a_person_ended_is_when_it_was_detected():
    bench = await told_bench()
    bench.clock.advance(HOUR)
    since = bench.clock.now()
    instance = "spiffe://test/agent/scout/01"
    random = bench.recorder.entropy.bytes

    async def ended(**by: str) -> None:
        sealing = Sealing(key=bench.recorder.subject_keys.of("uid:1000"), random=random)
        members: dict[str, Any] = {"agent": "scout", "because": "ended", "instance": instance, **by}
        entry = sealed_entry(
            Tag.WORKLOAD_ENDED,
            at=bench.clock.now(),
            members=members,
            fields=[(b"x", b'"y"')],
            sealing=sealing,
        )
        await bench.recorder.ledger.append(entry)

    await ended()
    bench.clock.advance(1)
    await ended(by="p-1")
    *_, by_person = bench.entries(Tag.WORKLOAD_ENDED)
    bench.clock.advance(HOUR)
    answer = incident_of(bench, await opened(bench, "window", since_ms=since))
    assert clock(answer)["detected"][0] == by_person["index"]
    since = bench.clock.now()
    await revoked(bench.walk, RevocationTarget("agent", "scout"), by="uid:1000")
    (entry,) = bench.entries(Tag.REVOKED)
    bench.clock.advance(HOUR)
    for kind, name in (("agent", "scout"), ("window", "")):
        answer = incident_of(bench, await opened(bench, kind, name, since_ms=since))
        assert clock(answer)["detected"][0] == entry["index"], kind
    other = incident_of(bench, await opened(bench, "agent", "rover", since_ms=since))
    assert clock(other)["detected"][1] == "a person opened the incident"
