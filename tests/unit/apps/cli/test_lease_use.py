"""`answerable lease usage`, `propose` and `replay` on a product in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import structs
from typer.testing import Result

from answerable.apps.control_api.application import control_app
from answerable.core.action.outcome import Outcome
from answerable.core.canonical import parse
from answerable.core.lease.use import Right
from answerable.errors import Unavailable
from answerable.flows.state.lease_side import LeaseSide
from answerable.testing.builders import Bench
from tests.attack.test_lease_use import GRANTS, acts, documents, told
from tests.probes.typed_lines import typed
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.control import Product

pytestmark = [pytest.mark.requirement("RIGHTS-04", "RIGHTS-05", "RIGHTS-06")]

NAME = "crm.read"
LITTLE = ("--min-actions", "1", "--min-days", "0", "--since", "all")


class Broker:
    """Port LeaseBroker, as far as it tells of rights."""

    def __init__(self) -> None:
        self.fault: Unavailable | None = None
        self.untold = False
        self.adds: dict[str, Any] = {}
        self.nothing = False

    async def rights(self, target: str, grants: Any) -> list[Right]:
        if self.fault is not None:
            raise self.fault
        return [Right(name, f"{name} of {target}", is_told=not self.untold) for name in grants]

    async def narrowed(self, target: str, grants: Any, kept: Any) -> Any:
        return None if self.nothing else {**{name: grants[name] for name in kept}, **self.adds}


class World:
    """A product in memory, and the command line at it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.broker, self.done = folder, Broker(), [told("cases")]
        self._bench: Bench | None = None

    async def bench(self) -> Bench:
        if self._bench is None:
            self._bench = bench = await Bench().registered(documents())
            bench.live.leases = LeaseSide(broker="broker", asks=self.broker)
            await bench.issue()
            for outcome in self.done:
                await acts(bench, outcome)
        return self._bench

    def run(self, *arguments: str | Path, code: int = 0) -> Result:
        @asynccontextmanager
        async def offline(_: Any) -> AsyncIterator[Any]:
            walk = (await self.bench()).walk
            searches = IndexAtHand(walk.recorder)
            yield control_app(Product(walk=walk, log_key="", published=None, searches=searches))

        result = typed(offline, [*map(str, arguments), "--data", str(self.folder)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def document(self) -> Any:
        assert self._bench is not None
        return parse(self._bench.walk.authority.registry.documents()[f"Capability/{NAME}"])

    def file(self, grants: Any) -> Path:
        document = self.document()
        document["spec"]["lease"]["grants"] = grants
        path = self.folder / "given.yaml"
        path.write_text(yaml.safe_dump(document))
        return path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def usage(world: World) -> dict[str, Any]:
    (found,) = json.loads(
        world.run("lease", "usage", "--capability", NAME, "--since", "all", "--json").stdout
    )
    return found


def test_usage_tells_each_right_and_how_much_was_seen(world):
    found = usage(world)
    assert [(one["right"], one["use"], one["sure"]) for one in found["rights"]] == [
        ("cases of crm-db", "used", 1),
        ("rows of crm-db", "never used", 0),
    ]
    shown = world.run("lease", "usage", "--since", "all").output
    assert f"{NAME}: 1 actions from" in shown
    assert "no data in the whole ledger" in shown, "of the other capability"


def test_usage_says_what_was_not_counted(world):
    world.done = [
        told("rows", status="failed"),
        told("rows", status="indeterminate"),
        told("rows", case="9"),
        Outcome(status="succeeded", result={}),
    ]
    shown = world.run("lease", "usage", "--capability", NAME, "--since", "all").output
    said = " ".join(shown.split())
    for part in ("1 did not tell what they used", "1 under another template", "1 failed", "1 ended unknown"):
        assert part in said, shown
    assert "never used" not in shown


def test_without_a_capability_of_that_name_it_says_so(world):
    for command in (("usage", "--capability", "nothing"), ("propose", "nothing")):
        assert "there is no capability `nothing`" in world.run("lease", *command, code=1).output


def test_a_proposal_is_the_document_with_less_and_says_why(world):
    shown = world.run("lease", "propose", NAME, *LITTLE).stdout
    assert "# takes out: rows of crm-db" in shown
    assert "# review: cases of crm-db, used 1 times" in shown
    proposed = yaml.safe_load(shown)
    assert proposed["spec"]["lease"].pop("grants") == {"cases": GRANTS["cases"]}
    registered = world.document()
    del registered["spec"]["lease"]["grants"]
    assert proposed == registered
    told_too = json.loads(world.run("lease", "propose", NAME, *LITTLE, "--json").stdout)
    assert told_too["document"]["spec"]["lease"]["grants"] == {"cases": GRANTS["cases"]}


def test_of_too_little_nothing_is_proposed(world):
    said = world.run("lease", "propose", NAME, code=3).output
    assert "at least 30 are needed" in " ".join(said.split())


def test_what_used_everything_has_nothing_to_take_out(world):
    world.done = [told("cases", "rows")]
    assert "nothing to remove" in world.run("lease", "propose", NAME, *LITTLE, code=5).output


def test_what_used_nothing_is_to_be_taken_away(world):
    world.done = [told()]
    assert "remove the capability instead" in " ".join(
        world.run("lease", "propose", NAME, *LITTLE, code=3).output.split()
    )


def test_what_cannot_be_granted_by_itself_is_left_to_people(world):
    world.broker.nothing = True
    assert "by hand" in " ".join(world.run("lease", "propose", NAME, *LITTLE, code=3).output.split())


@pytest.mark.parametrize("how", ["fault", "untold"])
def test_where_nobody_can_tell_nothing_is_proposed(world, how):
    if how == "fault":
        world.broker.fault = Unavailable("no such target here", code="broker.failed", port="lease_broker")
    else:
        world.broker.untold = True
    said = " ".join(world.run("lease", "propose", NAME, *LITTLE, code=3).output.split())
    assert "no proposal: " in said
    shown = world.run("lease", "usage", "--since", "all").output
    assert "unknown" in shown
    assert "never used" not in shown


def test_a_proposal_that_would_be_more_is_not_shown(world):
    world.broker.adds = {"more": 1}
    result = world.run("lease", "propose", NAME, *LITTLE, code=1)
    assert "it is not shown" in result.output
    assert "kind: Capability" not in result.output


def test_a_replay_says_what_would_have_been_refused(world):
    assert usage(world)["actions"] == 1
    fine = world.run("lease", "replay", world.file({"cases": ["x"]}), "--since", "all")
    assert "no action that reported" in fine.output
    held = world.run("lease", "replay", world.file({"rows": 5}), "--since", "all", code=5)
    assert "cases of crm-db" in held.output
    wider = world.run("lease", "replay", world.file({**GRANTS, "more": 1}), "--since", "all")
    assert "grants more than before: more of crm-db" in wider.output
    (found,) = json.loads(
        world.run("lease", "replay", world.file({"rows": 5}), "--since", "all", "--json", code=5).stdout
    )
    assert [one["right"] for one in found["lacking"]] == ["cases of crm-db"]


def test_a_replay_of_what_did_not_tell_is_not_clean(world):
    world.done = [Outcome(status="succeeded", result={})]
    assert usage(world)["untold"] == {"not_told": 1}
    world.run("lease", "replay", world.file(GRANTS), "--since", "all", code=5)


@pytest.mark.parametrize(
    "text", ["kind: [", "apiVersion: answerable/v1\nkind: Server\nmetadata: {name: x}\n"]
)
def test_what_is_no_capability_cannot_be_replayed(world, text):
    path = world.folder / "odd.yaml"
    path.write_text(text)
    world.run("lease", "replay", path, code=1)


def test_a_lease_that_changes_while_it_is_counted_is_counted_anew(world, monkeypatch):
    from answerable.client import lease_use_calls

    ask = lease_use_calls.list_lease_rights
    monkeypatch.setattr(
        lease_use_calls,
        "list_lease_rights",
        lambda control: (structs.replace(one, template="0" * 64) for one in ask(control)),
    )
    said = " ".join(world.run("lease", "usage", code=3).output.split())
    assert "leases have changed while they were counted" in said
