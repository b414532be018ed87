"""Every ceremony, token and challenge at every door that finishes one: only the one that fits succeeds."""

from __future__ import annotations

import pytest

from tests.attack.ceremony_tokens import DOORS, FITS, KINDS
from tests.attack.ceremony_world import doors

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CEREMONY-11")]


async def test_only_the_kind_that_a_door_is_for_finishes_there(tmp_path):
    taken, refused = set(), set()
    async with doors(tmp_path) as at:
        await at.ready()
        for kind, mint in KINDS.items():
            for door, send in DOORS.items():
                token = await mint(at)
                (taken if await send(at, token) else refused).add((kind, door))
                # What was answered waits no more, and a session in which confirming failed a few times has ended.
                if (kind, door) in taken or door == "confirm":
                    await at.ready()
    assert taken - FITS == set(), "what was begun for one thing finished another"
    assert FITS - taken == set(), "the table says nothing where what fits is refused as well"
    assert len(taken) + len(refused) == len(KINDS) * len(DOORS)


def test_every_kind_but_a_bare_nonce_has_a_door_of_its_own():
    assert {kind for kind, _ in FITS} == KINDS.keys() - {"nonce", "nonce of a workflow", "ID token"}
    assert {door for _, door in FITS} == DOORS.keys()
