"""The name of a critical action at the terminal: asked for, or given, and stood for by no flag."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer import testing
from typer.testing import Result

from answerable.apps.control_api.application import control_app
from tests.probes.typed_lines import typed
from tests.worlds.control import asked, made_world, memory_product

pytestmark = pytest.mark.requirement("ROOM-03")


class Desk:
    """A data directory on which the deletion of case 4711 waits for two people, bela and chen among them."""

    def __init__(self, folder: Path) -> None:
        self.world, self.product = made_world(folder), memory_product()
        self.world.data.mkdir(mode=0o700)
        self.run("apply", "-f", str(self.world.registry))
        key = ("--as", "ada", "--key", str(self.world.key("ada")))
        mandate = self.run("mandate", "issue", "one-case", *key, "--set", "case=4711", "--yes").stdout.strip()
        waiting = anyio.run(partial(asked, self.product, "case_delete", "4711", mandate)).approval
        assert waiting is not None
        self.waiting = waiting

    def run(self, *line: str, stdin: str | None = None) -> Result:
        @asynccontextmanager
        async def offline(_: Any) -> AsyncIterator[Any]:
            yield control_app(self.product)

        return typed(offline, [*line, "--data", str(self.world.data)], stdin=stdin)

    def approve(self, *given: str, stdin: str | None = None) -> Result:
        key = ("--as", "bela", "--key", str(self.world.key("bela")))
        return self.run("approval", "approve", self.waiting.id, *key, *given, stdin=stdin)

    def answers(self) -> list[Any]:
        (approval,) = json.loads(self.run("approval", "list", "--json").stdout)
        return list(approval["answers"])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (("--yes",), 1, "--yes does not replace the typed name"),
        ((), 1, "standard input is not a terminal"),
        (("--typed", "4712", "--yes"), 3, "that is not `4711`"),
        (("--typed", "4711"), 1, "standard input is not a terminal: add --yes"),
    ],
    ids=str,
)
def test_a_critical_action_is_not_approved_without_its_name(
    desk: Desk, given: tuple[str, ...], code: int, told: str
) -> None:
    result = desk.approve(*given)
    assert (result.exit_code, told in result.stderr) == (code, True), result.output
    assert desk.answers() == []


@pytest.mark.parametrize(
    ("said", "code", "answers"), [("4711", 4, 1), ("4712", 3, 0), ("y", 3, 0), ("", 1, 0)]
)
def test_at_a_terminal_who_types_the_name_is_asked_nothing_else(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, said: str, code: int, answers: int
) -> None:
    monkeypatch.setattr(
        testing._NamedTextIOWrapper, "isatty", lambda stream: stream.name == "<stdin>", raising=False
    )
    result = desk.approve(stdin=said + "\n")
    assert result.exit_code == code, result.output
    assert len(desk.answers()) == answers


def test_a_no_needs_no_name(desk: Desk) -> None:
    key = ("--as", "bela", "--key", str(desk.world.key("bela")))
    assert desk.run("approval", "deny", desk.waiting.id, *key, "--yes").exit_code == 0
