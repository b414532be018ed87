"""The page about registry documents lists exactly the keys that are read, and its examples are in force."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from answerable.adapters.cedar import published
from answerable.adapters.registry_files import Reading, read_text
from answerable.core.registry.documents.capability import GOVERNED_METHODS
from answerable.core.registry.documents.policy_parts import FactorFact
from answerable.core.registry.documents.stop_rule import WATCHED
from answerable.core.registry.parsing.active import faults_of, findings, inactive, snapshot_of
from answerable.core.registry.parsing.parse import KINDS, SPEC_KEYS, TOP_KEYS
from answerable.core.registry.parsing.spec_capability import ARGUMENT_KEYS, RESOURCE_KEYS
from answerable.core.registry.parsing.spec_classes import CLASS_KEYS
from answerable.core.registry.parsing.spec_destination import ALLOWED_KEYS, DESTINATION_KEYS
from answerable.core.registry.parsing.spec_duty import QUIET_KEYS, SHIFT_KEYS, STEP_KEYS
from answerable.core.registry.parsing.spec_execute import EXECUTES_KEYS
from answerable.core.registry.parsing.spec_issuer import RULE_KEYS
from answerable.core.registry.parsing.spec_lease import LEASE_KEYS
from answerable.core.registry.parsing.spec_limits import DELEGATION_KEYS
from answerable.core.registry.parsing.spec_policy_set import MATCH_KEYS, TRACKER_KEYS, WINDOW_KEYS
from answerable.core.registry.parsing.spec_preview import PREVIEW_KEYS
from answerable.core.registry.parsing.spec_risk import FACTOR_KEYS
from answerable.core.registry.parsing.spec_shared import OWNERSHIP_KEYS
from answerable.core.registry.parsing.spec_spending import AMOUNT_KEYS, MEASURE_KEYS, RESERVE_KEYS
from answerable.core.registry.parsing.spec_stop_rule import CANARY_KEYS
from answerable.core.registry.parsing.spec_template import GRANT_KEYS, PARAMETER_KEYS
from answerable.testing.samples import signing_key

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "registry.md").read_text()
KEYS_OF_FILES = {"Principal": ("keyFile",), "Agent": ("keyFile",), "PolicySet": ("file",)}
KEYS_OF_FILES |= {"Application": ("keyFile",), "Schedule": ("keyFile",), "Workflow": ("keyFile",)}
NESTED = {
    "resource": RESOURCE_KEYS,
    "arguments": ARGUMENT_KEYS,
    "ownership": OWNERSHIP_KEYS,
    "grants": GRANT_KEYS,
    "parameters": PARAMETER_KEYS,
    "destination": DESTINATION_KEYS,
    "destinations": ALLOWED_KEYS,
    "delegation": DELEGATION_KEYS,
    "rule": RULE_KEYS,
    "amount": AMOUNT_KEYS,
    "reserves": RESERVE_KEYS,
    "measures": MEASURE_KEYS,
    "trackers": TRACKER_KEYS[: -len(MATCH_KEYS)],
    "matches": MATCH_KEYS,
    "windows": WINDOW_KEYS,
    "classes": CLASS_KEYS,
    "canary": CANARY_KEYS,
    "watches": WATCHED,
    "lease": LEASE_KEYS,
    "preview": PREVIEW_KEYS,
    "executes": EXECUTES_KEYS,
    "shifts": SHIFT_KEYS,
    "quietHours": QUIET_KEYS,
    "escalation": STEP_KEYS,
}

pytestmark = pytest.mark.requirement("REG-05")


def examples(directory: Path) -> Reading:
    """All examples of the page as one text, with the files they name beside it."""
    (policies,) = re.findall(r"```cedar\n(.*?)```", PAGE, re.DOTALL)
    (directory / "refunds.cedar").write_text(policies)
    (directory / "bob.jwk").write_text(signing_key("bob").public.jwk)
    text = "---\n".join(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    return read_text(text, file="registry.md", directory=directory)


def fields_under(heading: str) -> tuple[str, ...]:
    section = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section is not None, heading
    return tuple(re.findall(r"^\| `(\w+)` \|", section[1], re.MULTILINE))


def test_the_examples_together_are_a_registry_in_force(tmp_path: Path) -> None:
    reading = examples(tmp_path)
    assert reading.faults == ()
    assert [reading.located(fault) for fault in faults_of(reading.documents)] == []
    assert inactive(reading.documents) == []
    assert findings(reading.documents, today="2026-11-24") == []
    snapshot = snapshot_of(reading.documents)
    published("\n".join(found.policies for found in snapshot.policy_sets.values()), snapshot)


def test_every_kind_has_an_example(tmp_path: Path) -> None:
    shown = {str(found.get("kind")) for found in examples(tmp_path).documents if isinstance(found, dict)}
    assert shown == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_each_kind_lists_the_keys_that_are_read(kind: str) -> None:
    expected = {*next(keys for name, keys in SPEC_KEYS.items() if name == kind), *KEYS_OF_FILES.get(kind, ())}
    assert set(fields_under(kind)) == expected


def test_the_tables_of_risk_list_the_keys_and_the_facts_that_are_read() -> None:
    listed = fields_under("risk")
    assert listed[: len(FACTOR_KEYS)] == FACTOR_KEYS
    facts = re.search(r"^\| Fact \|.*?\n\n", PAGE, re.DOTALL | re.MULTILINE)
    assert facts is not None
    named = (re.findall(r"`(\w+)`", line.split("|")[1]) for line in facts[0].splitlines()[2:] if line)
    assert tuple(name for names in named for name in names) == get_args(FactorFact)


@pytest.mark.parametrize("name", NESTED)
def test_the_table_of_each_nested_mapping_lists_the_keys_that_are_read(name: str) -> None:
    assert fields_under(name) == NESTED[name]


def test_the_top_of_a_document_and_the_methods_are_listed() -> None:
    assert fields_under("Registry documents") == TOP_KEYS
    assert all(method in PAGE for method in GOVERNED_METHODS)
