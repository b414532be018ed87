"""No source of authority is forgotten: what a world is made of, what can change it, and what looks at it."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module

import pytest

from answerable.adapters.sqlite.migrations import MIGRATIONS
from answerable.ports.worlds import World
from tests.tidy.rules import ONLY_MAKERS
from tests.tidy.tree import ROOT, imports, modules

# By name: types are checked in this folder and not in that of the rows.
SOURCES = import_module("tests.worlds.authority_source").SOURCES
TOLD = re.compile(r"CREATE TRIGGER authority_(\w+)_\d+ AFTER (?:INSERT|UPDATE|DELETE)\b.* ON (\w+) ")
NOT_OF_A_ROW = {"epoch", "fits", "tools_seen"}
"""What says that another field is another one, and what only keeps what was found in others."""
CAN_END = {
    "documents", "duty_delegations", "federated", "holds", "instances", "mandates", "manifests", "passkeys",
    "revocations", "tool_pins", "trust_domain",
}  # fmt: skip
"""Tables in which a right to act, or an answer that let something run, begins or ends."""


@pytest.mark.requirement("HOUSE-12")
def test_each_part_of_a_world_has_a_source_that_changes_it():
    named = {field for source in SOURCES for field in source.fields}
    assert named == {*World.__struct_fields__} - NOT_OF_A_ROW


@pytest.mark.requirement("HOUSE-62")
def test_the_module_that_makes_plans_imports_no_state_and_no_other_port():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        one
        for one in settings["tool"]["importlinter"]["contracts"]
        if one["name"] == "a plan is made of a world and nothing else"
    )
    (maker,) = ONLY_MAKERS["Plan"]
    assert contract["source_modules"] == [maker.removeprefix("src/").removesuffix(".py").replace("/", ".")]
    forbidden = tuple(contract["forbidden_modules"])
    assert {*forbidden} >= {"answerable.ports", "answerable.flows.state"}
    assert contract["ignore_imports"] == [f"{contract['source_modules'][0]} -> answerable.ports.worlds"]
    (module,) = (one for one in modules("src/answerable/flows/walk") if one.path == maker)
    named = {name for name, _ in imports(module) if name.startswith(forbidden)}
    assert named == {f"answerable.ports.worlds{name}" for name in ("", ".ChangeScope", ".Plan", ".World")}


@pytest.mark.requirement("HOUSE-11")
def test_each_table_in_which_authority_ends_moves_the_epoch_in_the_transaction_that_changes_it():
    statements = [text for version in MIGRATIONS for text in version]
    told = {found[2] for text in statements if (found := TOLD.match(text))}
    assert told == CAN_END
