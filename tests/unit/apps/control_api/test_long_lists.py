"""Long lists are read on the loop that acts, and give way to it."""

from __future__ import annotations

from itertools import pairwise

import anyio
import anyio.lowlevel
import pytest

from answerable.apps.control_api.application import control_app
from answerable.flows.tokens import trace_mandate
from tests.unit.apps.control_api.test_control_api import client_of
from tests.worlds.control import memory_product

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("NEIGHBOUR-16")
@pytest.mark.parametrize("path", ["/v1/status", "/v1/mandates?state=closed"])
async def test_who_looks_at_thousands_of_mandates_gives_way_to_others_meanwhile(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    product, looked = memory_product(), [0]

    def state(_walk: object, _mandate: object) -> tuple[str, str]:
        looked[0] += 1
        return "open", ""

    monkeypatch.setattr(trace_mandate, "mandate_state", state)
    monkeypatch.setattr(type(product.walk.authority.mandates), "all", lambda _: range(10_000))
    seen: list[int] = []

    async def beside() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            seen.append(looked[0])

    async with client_of(control_app(product)) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(beside)
        assert (await client.http.get(path)).status_code == 200
        tasks.cancel_scope.cancel()
    assert looked[0] == 10_000
    assert max(after - before for before, after in pairwise(seen)) <= 64
