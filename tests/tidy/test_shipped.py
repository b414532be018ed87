"""Tests run what people run: no adapter is there for them alone, and each that ships is held to its port's suite."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from answerable.adapters.sqlite import SqliteStore
from answerable.flows.state.triggered_holds import TriggeredHolds
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh_store
from imports import KeptImports
from tests.tidy.answers import answers
from tests.tidy.answers import found as found_in
from tests.tidy.test_dead_modules import leads, unreached
from tests.tidy.tree import ROOT, Module, parsed

PORT_OF = re.compile(r"\b(?:Implements |Ports? |and )(?:ports\.\w+\.)?([A-Z]\w+)")
SUITE = re.compile(r"^class \w+\((?:Durable|Shared)?(\w+)Contract\)", re.MULTILINE)


EMBEDDED = "answerable.flows.recording"
"""Where a port is implemented over other ports, by what knows no storage."""


def adapters() -> dict[str, set[str]]:
    """Packages of adapters, and modules in EMBEDDED, by the ports that their classes say they implement, in name or
    words."""
    found: dict[str, set[str]] = {}
    places = ("adapters", "targets", EMBEDDED.removeprefix("answerable.").replace(".", "/"))
    ports = {name for name, _ in found_in(classes, "src/answerable/ports")}
    for path, there in answers(classes, *(f"src/answerable/{one}" for one in places)).items():
        module = parsed(path, "").name
        for name, said in there:
            if not name.startswith("_"):
                for port in {*said, *(one for one in ports if name.endswith(one))}:
                    package = ".".join(module.split(".")[:3])
                    found.setdefault(port, set()).add(module if package == EMBEDDED else package)
    return found


def classes(module: Module) -> Iterator[tuple[str, list[str]]]:
    """Each with the ports that it says it implements."""
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            yield node.name, PORT_OF.findall(ast.get_docstring(node) or "")


def suites() -> dict[str, set[str]]:
    """What is run, by the port whose suite it is: modules that its test modules and their worlds import."""
    tree, found = KeptImports(), dict[str, set[str]]()
    for path in sorted((ROOT / "tests/contracts").glob("test_*.py")):
        name = f"tests.contracts.{path.stem}"
        reached, left = {name}, [name]
        for one in left:
            more = set(tree.imported(one)) - reached
            reached |= more
            left += [module for module in more if module.startswith(("tests.", "answerable.adapters."))]
        for suite in SUITE.findall(tree.read(name).decode()):
            found.setdefault(suite, set()).update(reached)
    return found


@pytest.mark.requirement("SHIPPED-01")
def test_every_adapter_is_used_by_the_product_itself() -> None:
    testing = "src/answerable/testing"
    found = {path: names for path, names in answers(leads, "src").items() if not path.startswith(testing)}
    assert [path for path in unreached(found) if "/adapters/" in path] == []


@pytest.mark.requirement("SHIPPED-02")
def test_registers_of_a_bench_are_those_of_one_sqlite_database() -> None:
    bench = Bench()
    walk = bench.walk
    assert isinstance(walk.authority.holds, TriggeredHolds)
    registers = {
        "mandates": walk.authority.mandates,
        "approvals": walk.authority.approvals,
        "openings": walk.asking.openings,
        "manifests": walk.authority.manifests,
        "revocations": walk.authority.revocations,
        "holds": walk.authority.holds._register,
        "registry": walk.authority.registry,
        "prepared": walk.verification.prepared,
        "duties": walk.asking.duties.register,
        "policies": walk.policies.records,
    }
    stores = {name: getattr(register, "_store", None) for name, register in registers.items()}
    assert {name for name, store in stores.items() if store is not bench.store} == set()
    assert isinstance(bench.store, SqliteStore)
    assert fresh_store()._path != bench.store._path


@pytest.mark.requirement("SHIPPED-03")
def test_every_adapter_of_a_port_that_has_a_suite_runs_it() -> None:
    run, found = suites(), adapters()
    assert len(run) > 20, "as many ports have one"
    assert set(run) <= set(found), "every suite is of a port that an adapter says it implements"
    missing = [f"{name}: {port}" for port in run for name in sorted(found[port]) if name not in run[port]]
    assert missing == []
