"""A plug-in of others that fails at work, as it is found, built and used: its words reach nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.errors import Unavailable
from answerable.flows.leases.lease_desk import DeskTarget, LeaseLimits
from answerable.flows.leases.perform_leased import perform_leased
from answerable.targets import TargetContext
from answerable.wiring.target_kinds import kind_named
from tests.unit.wiring.test_target_kinds import BUILDS, installed
from tests.worlds.lease import LeaseWorld, quiet, warrant
from tests.worlds.plugin_files import plugin

__all__ = ["installed"]

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("TARGET-12")]

FAILS = """
from contextlib import asynccontextmanager
from answerable.testing.memory_target import MemoryTarget

class Issuer(MemoryTarget):
    async def issue(self, order):
        {issue}
        return await super().issue(order)

    async def revoke(self, name):
        {revoke}
        return await super().revoke(name)

    @asynccontextmanager
    async def connected(self, credential):
        {connected}
        async with super().connected(credential) as session:
            yield Session(session)

class Session:
    def __init__(self, session):
        self._session = session

    async def perform(self, *given, **named):
        {perform}
        return await self._session.perform(*given, **named)

def build(settings, context):
    made = Issuer(clock=context.clock, entropy=context.entropy)
    return BuiltTarget(issuer=made, target=made)
"""
RAISES = {
    "an error": "raise RuntimeError('the password is swordfish')",
    "an end": "raise SystemExit('swordfish')",
    "a group": "raise ExceptionGroup('swordfish', [ValueError('swordfish')])",
    "nothing": "return None",
}


CASES = [
    (where, how)
    for where in ("issue", "connected", "perform")
    for how in RAISES
    # A context manager that yields nothing is an error like any other.
    if (where, how) != ("connected", "nothing")
]
BY = "the plug-in `odd` of odd-one 2.5 failed: "


def failing(installed: Path, world: LeaseWorld, where: str, how: str) -> dict[str, DeskTarget]:
    """The target of such a plug-in."""
    code = dict.fromkeys(("issue", "revoke", "connected", "perform"), "pass") | {where: RAISES[how]}
    made = f"from answerable.targets import BuiltTarget\n{FAILS.format(**code)}KIND ="
    plugin(installed, "odd-one", "odd", BUILDS.replace("KIND =", made))
    kind = kind_named("odd")
    built = kind.build(None, TargetContext(clock=world.clock, entropy=world.entropy, secret_of=bytes))
    return {"one": DeskTarget.of(built.issuer, built.target, LeaseLimits(), by=kind.by)}


@pytest.mark.parametrize(("where", "how"), CASES)
async def test_what_a_plug_in_raises_is_refused_with_its_distribution_and_without_its_words(
    installed: Path, caplog: pytest.LogCaptureFixture, where: str, how: str
) -> None:
    world = LeaseWorld()
    async with world.broker(targets=failing(installed, world, where, how)) as desk:
        with pytest.raises(Unavailable) as refused:
            await perform_leased(desk, warrant(now=world.clock.now()), "get", {"key": "case-1"})
        await quiet(desk)
    effect = "none" if where == "issue" else "unknown"
    assert (refused.value.code, refused.value.effect) == ("target.failed", effect)
    assert refused.value.message.startswith(BY)
    assert "swordfish" not in refused.value.message + caplog.text


async def test_a_lease_that_a_plug_in_fails_to_end_stays_open_with_its_distribution(
    installed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = LeaseWorld()
    async with world.broker(targets=failing(installed, world, "revoke", "an end")) as desk:
        _, lease = await perform_leased(desk, warrant(now=world.clock.now()), "get", {"key": "case-1"})
        await quiet(desk)
        stands = desk.open.get(lease.name)
    assert stands is not None
    assert stands.fault.startswith(f"{BY}`SystemExit` in line ")
    assert "swordfish" not in stands.fault + caplog.text
