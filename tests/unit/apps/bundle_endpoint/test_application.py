"""The door of our bundle, without a network."""

from __future__ import annotations

import httpx2
import pytest

from answerable.apps.bundle_endpoint import BundleServices, bundle_endpoint_app
from answerable.errors import Unavailable

pytestmark = pytest.mark.anyio


def client(document, seconds=60, **how):
    app = bundle_endpoint_app(BundleServices(document=document, refresh_hint_seconds=lambda: seconds), **how)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="https://ours.example")


async def test_the_bundle_is_public_json_that_keeps_for_its_hint():
    async with client(lambda: b'{"keys": []}', seconds=77, path="/federation") as door:
        got = await door.get("/federation")
    assert (got.status_code, got.content) == (200, b'{"keys": []}')
    assert got.headers["content-type"] == "application/json"
    assert got.headers["cache-control"] == "public, max-age=77"


async def test_without_a_bundle_it_says_so_and_nothing_may_be_kept():
    def missing():
        raise Unavailable("the key store is closed", code="authority_keys.closed", port="authority_keys")

    async with client(missing) as door:
        got = await door.get("/bundle.json")
    assert (got.status_code, got.headers["cache-control"]) == (503, "no-store")
    assert "key store" not in got.text
