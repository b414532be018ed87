"""How the control API answers what it does not take: the manners of HTTP, and nothing ignored."""

from __future__ import annotations

import pytest

from answerable.apps.control_api.application import control_app
from tests.unit.apps.control_api.test_control_api import client_of
from tests.worlds.control import memory_product

pytestmark = pytest.mark.anyio


async def test_a_wrong_method_is_told_which_there_are() -> None:
    async with client_of(control_app(memory_product())) as client:
        for path, methods in (("/v1/mandates", "GET, HEAD, POST"), ("/v1/registry/apply", "POST")):
            answer = await client.http.request("DELETE", path)
            assert (answer.status_code, answer.headers["allow"]) == (405, methods)


async def test_where_nothing_is_to_be_said_an_unknown_member_is_refused() -> None:
    async with client_of(control_app(memory_product())) as client:
        answer = await client.http.post("/v1/ledger/seal", json={"force": True})
        assert answer.status_code == 400
        assert (await client.http.post("/v1/ledger/seal")).status_code == 200
