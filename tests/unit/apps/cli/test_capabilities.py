"""What the terminal tells of capabilities."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from answerable.apps.control_api.application import control_app
from tests.probes.typed_lines import typed
from tests.worlds.control import made_world, memory_product

pytestmark = pytest.mark.requirement("ROOM-05")

Command = Callable[..., Result]


@pytest.fixture(params=["the same arguments", "its own arguments"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> Command:
    """On a data directory where the deletion of a case is shown beforehand by the reading of it."""
    world, product = made_world(tmp_path), memory_product()
    world.data.mkdir(mode=0o700)
    file = world.registry / "registry.yaml"
    preview = "  preview: {capability: crm.read}\n"
    if request.param == "its own arguments":
        preview = "  preview: {capability: crm.read, arguments: {case: /case}}\n"
    text = file.read_text().replace("  tier: 1\n", "  tier: 0\n")
    assert text.count("  target: case_delete\n") == 1
    file.write_text(text.replace("  target: case_delete\n", "  target: case_delete\n" + preview))

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(product)

    def run(*line: str) -> Result:
        return typed(offline, [*line, "--data", str(world.data)])

    applied = run("apply", "-f", str(world.registry))
    assert applied.exit_code == 0, applied.output
    return run


def test_lists_say_what_shows_an_effect_beforehand(command: Command, request: pytest.FixtureRequest) -> None:
    own = "own" in request.node.callspec.id
    listed = command("capability", "list")
    assert listed.stdout.splitlines()[0].split()[-1] == "PREVIEW"
    (line,) = (one for one in listed.stdout.splitlines() if one.startswith("crm.delete"))
    assert line.endswith("crm.read")
    every = {
        one["name"]: one["preview"] for one in json.loads(command("capability", "list", "--json").stdout)
    }
    asked_with = {"case": "/case"} if own else None
    assert every["crm.delete"] == {"capability": "crm.read", "arguments": asked_with}
    assert every["crm.read"] is None
    shown = command("capability", "show", "crm.delete").stdout
    assert ("case from /case" if own else "crm.read, with the same arguments") in shown
    assert "none: approvers see the arguments only" in command("capability", "show", "crm.read").stdout
    assert json.loads(command("capability", "show", "crm.delete", "--json").stdout)["tier"] == 3
    unknown = command("capability", "show", "nothing")
    assert (unknown.exit_code, "there is no capability `nothing`" in unknown.stderr) == (1, True)
