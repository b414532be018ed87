"""A warrant that is sent many times at once, and one whose lease is not its action's: told as what they are."""

from __future__ import annotations

import anyio
import pytest

from answerable.core.ledger.warrant_token import verified_warrant
from answerable.errors import AnswerableError, Malformed
from answerable.flows.leases.perform_leased import perform_leased
from answerable.testing.samples import signing_key
from tests.worlds.lease import LeaseWorld, until, warrant

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BOUNDARY-12")]
COPIES = 12


@pytest.mark.parametrize("window", ["action", "task"])
async def test_of_copies_of_one_warrant_one_acts_and_all_others_are_told_that_it_is_spent(window):
    world = LeaseWorld()
    target = world.target()
    # The first is still at work when the others come.
    target._pauses = 0.01
    told: list[str] = []
    async with world.broker() as desk:
        one = warrant(window=window, now=world.clock.now())

        async def send() -> None:
            try:
                await perform_leased(desk, one, "get", {"key": "case-1"})
                told.append("done")
            except AnswerableError as error:
                told.append(error.code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await until(lambda: bool(desk.issuing))
            for _ in range(COPIES - 1):
                tasks.start_soon(send)
        await send()
    assert sorted(told) == ["done", *["warrant.spent"] * COPIES]
    assert len(target.done) == 1


async def test_a_warrant_whose_lease_is_not_its_actions_is_told_so():
    key = signing_key("scout")
    one, other = warrant(1, now=1_000), warrant(1, name=2, now=1_000)
    assert verified_warrant(one.signed(key), broker="broker", keys=[key.public], now=1_000) == one
    with pytest.raises(Malformed, match="the lease of a single action is named by it") as refused:
        verified_warrant(other.signed(key), broker="broker", keys=[key.public], now=1_000)
    assert refused.value.code == "warrant.lease"
    shared = warrant(1, name=2, window="task", now=1_000)
    assert verified_warrant(shared.signed(key), broker="broker", keys=[key.public], now=1_000) == shared
