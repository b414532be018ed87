"""Who may come back to a server, by the key that it had."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.errors import Refused
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.validity.allow_restart import require_may_return
from answerable.flows.workloads.enrol_workload import enrol
from tests.worlds.enrolment import enrolling, evidence_of, key_of

pytestmark = pytest.mark.anyio


async def code_of(workloads, former: str) -> str:
    try:
        await require_may_return(workloads, former)
    except Refused as error:
        return error.code
    return ""


async def test_a_key_that_nobody_had_bars_nothing():
    _, workloads = await enrolling()
    assert await code_of(workloads, key_of("i-1").thumbprint) == ""


@pytest.mark.parametrize(
    ("because", "code"),
    [
        ("operator.ended", "instance.ended"),
        ("agent.retired", "instance.ended"),
        ("process.gone", "instance.ended"),
        ("agent.suspended", ""),
        ("instance.expired", ""),
        ("asked", ""),
    ],
)
async def test_what_became_of_the_former_instance_counts_also_when_all_else_is_forgotten(because, code):
    bench, workloads = await enrolling()
    key = key_of("i-1")
    one = await enrol(workloads, evidence=evidence_of(), key=key)
    assert await code_of(workloads, key.thumbprint) == "instance.still_known"
    await end_instance(workloads, one.id, because=because)
    assert await code_of(workloads, key.thumbprint) == code
    bench.clock.advance(10 * 3_600)
    assert workloads.instances.forget_ended(before=bench.clock.now()) == 1
    assert await code_of(workloads, key.thumbprint) == code


async def test_an_instance_that_ran_out_and_was_not_swept_yet_bars_nothing():
    bench, workloads = await enrolling()
    key = key_of("i-1")
    await enrol(workloads, evidence=evidence_of(), key=key)
    bench.clock.advance(2 * 3_600)
    assert await code_of(workloads, key.thumbprint) == ""


async def test_a_former_key_that_was_revoked_comes_back_under_no_other_one():
    _, workloads = await enrolling()
    former = key_of("i-1").thumbprint
    revoked = Revocation(
        what=RevocationTarget("key", former), at=UnixMillis(1), by="operator", reason="stolen"
    )
    workloads.authority.revocations.add(revoked)
    assert await code_of(workloads, former) == "revoked.key"
