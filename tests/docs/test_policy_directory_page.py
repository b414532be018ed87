"""The page about policy sets in directories says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from answerable.adapters.cedar.satisfiable import BRANCHES_MAX
from answerable.adapters.registry_files.set_directory import DEPTH_MAX, FILES_MAX
from answerable.adapters.registry_files.strict_yaml import load_documents
from answerable.core.decision.decision import Effect
from answerable.core.decision.policy_case import (
    BUDGET_KEYS,
    CASE_KEYS,
    GIVEN_KEYS,
    IDENTITY_KEYS,
    TASK_KEYS,
    cases_in,
)
from answerable.core.registry.documents.fields import Fault
from answerable.core.registry.parsing.set_head import HEAD_KEYS, MEMBERS_MIN, head_in
from tests.probes.named_codes import named_codes
from tests.worlds.policy_set import BROKEN, expected_of

pytestmark = pytest.mark.requirement("SET-10")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/policy-directory.md").read_text("utf-8")
FAMILIES = (
    "set",
    "rule",
    "name",
    "group",
    "tracker",
    "window",
    "destination",
    "risk",
    "schema",
    "case",
    "test",
)
OF_PUBLICATION = {"name.invalid", "destination.invalid", "destination.unknown", "test.untried"}


def section(heading: str) -> str:
    return re.split(r"^##+ ", PAGE.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(heading: str, column: str) -> set[str]:
    table = section(heading).partition(f"| {column} |")[2].partition("\n\n")[0]
    return {name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def codes_in_sources() -> set[str]:
    """Every code of these families that the modules about directories can give."""
    pattern = re.compile(rf'"((?:{"|".join(FAMILIES)}|document|policy)\.[a-z_]+)"')
    folders = ("adapters/cedar", "adapters/registry_files", "wiring", "core/decision", "core/registry")
    sources = ROOT / "src/answerable"
    names = {
        "set_directory.py", "rules.py", "rule_checks.py", "name_checks.py", "part_checks.py", "schema_text.py",
        "policy_directory.py", "policy_case.py", "policy_trial.py",
    }  # fmt: skip
    files = [path for folder in folders for path in (sources / folder).glob("*.py") if path.name in names]
    assert len(files) == len(names)
    written = {code for path in files for code in pattern.findall(path.read_text("utf-8"))}
    return written | {code for code in named_codes(*files) if pattern.fullmatch(f'"{code}"')}


def test_every_code_of_a_directory_is_on_the_page_and_no_other():
    listed = {code for code in rows("What check refuses", "Code") if not code.endswith("…")}
    # Those of documents and of publication are described on their own pages; these two are errors, and a file's name.
    beside = {"set.directory", "set.faults", "schema.cedarschema"}
    own = {code for code in codes_in_sources() if code.partition(".")[0] in FAMILIES} - beside
    own |= {"policy.id_twice", "document.time"}
    unread = {f"{what}.unread" for what in ("tracker", "window")}
    assert listed == (own | unread) - OF_PUBLICATION
    assert "`test.untried`" in section("What check refuses")


def test_every_code_on_the_page_is_that_of_a_broken_set_of_the_corpus():
    shown = {fault.code for path in BROKEN for fault in expected_of(path)}
    # Files of another size or number, links and pipes are made by the tests of the reader; how strong people must sign
    # is in the settings, and no set has any.
    made = {"set.file", "set.file_size", "set.file_count", "set.file_link", "group.too_weak"}
    assert rows("What check refuses", "Code") - made <= shown


def test_every_field_is_on_the_page_and_no_other():
    assert rows("set.yaml", "Field") == set(HEAD_KEYS)
    assert rows("Tables", "Field of a case") == set(CASE_KEYS)
    assert rows("Tables", "Field of `given`") == set(GIVEN_KEYS)
    for effect in get_args(Effect):
        assert f"`{effect}`" in section("Tables")
    for key in (*TASK_KEYS, *IDENTITY_KEYS, *BUDGET_KEYS):
        assert f"`{key}`" in section("Tables")


def test_the_bounds_on_the_page_are_those_of_the_code():
    assert f"{FILES_MAX:,}\nfiles of 1 MiB, {DEPTH_MAX} folders deep" in PAGE
    assert f"more than {BRANCHES_MAX} branches" in PAGE
    assert f"{MEMBERS_MIN} if nothing is said" in PAGE


def test_the_examples_on_the_page_are_read_without_a_fault():
    head, table = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    faults: list[Fault] = []
    for text, read in ((head, head_in), (table, cases_in)):
        documents, wrong = load_documents(text)
        assert not wrong
        read(documents[0].value, faults)
    assert not faults
