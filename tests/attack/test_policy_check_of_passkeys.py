"""`policy check` against a product knows of its people's passkeys, which no document tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from answerable.apps.control_api.application import control_app
from answerable.testing.builders import bench_documents
from answerable.testing.samples import document
from tests.probes.typed_lines import typed
from tests.worlds.control import memory_product
from tests.worlds.passkey import enrolled, passkey_bench

pytestmark = pytest.mark.anyio
SETTINGS = '[walk]\nsignatures = ["any", "any", "any", "passkey"]\n'


@pytest.mark.requirement("REPLY-09")
async def test_a_group_can_answer_once_its_people_have_brought_passkeys_in(tmp_path):
    bench = await passkey_bench()
    people = [document("Principal", "pat", {"groups": ["desk2"]})]
    await bench.registered([*bench_documents(), *people])
    product = replace(memory_product(), walk=bench.walk)
    data, directory = tmp_path / "data", tmp_path / "set"
    data.mkdir(mode=0o700)
    directory.mkdir()
    (data / "answerable.toml").write_text(SETTINGS)
    (directory / "set.yaml").write_text("name: own\ngroups: [{name: desk2, membersMin: 1}]\n")
    (directory / "rules.cedar").write_text(
        '@id("ask") @reason("people look") @approve("desk2:1")\n'
        'forbid(principal, action == Action::"crm.refund", resource) when { context.arguments.amount > 7 };\n'
    )

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(product)

    async def run(*arguments: str) -> Any:
        return await asyncio.to_thread(typed, offline, ["policy", *arguments, "--data", str(data)])

    await run("schema", "--output", str(directory / "schema.cedarschema"), "--for", str(directory))
    before = await run("check", str(directory))
    assert "but only 0 of them can answer" in before.stdout
    assert "group.empty" in before.stdout
    passkey = await enrolled(bench, "pat")
    after = await run("check", str(directory))
    assert "group." not in after.stdout, after.output
    (data / "answerable.toml").write_text(SETTINGS.replace('"passkey"]', '"hardware"]'))
    assert not passkey.attested
    assert "group.too_weak" in (await run("check", str(directory))).stdout
    bench.asking.passkeys = None
    assert "group.empty" in (await run("check", str(directory))).stdout
