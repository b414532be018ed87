"""The types of our contexts, beside those that the Cedar project's own generator makes of the same input schemas.

Theirs names what has no Cedar type (numbers with a fraction) as entities, which a caller would fill in; ours leaves it
out. `record_cedar_mcp_types.py` made the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from answerable.core.decision.policy_context import context_type
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.parsing.capability_proposal import proposed
from answerable.core.registry.documents.policy_parts import NO_PARTS
from answerable.testing.builders import bench_documents

pytestmark = pytest.mark.requirement("TOOL-15")

RECORDED: Any = json.loads((Path(__file__).parent / "answerable/cedar-mcp-types.json").read_text())
CEDAR = {"String": "String", "Bool": "Boolean", "Long": "Long"}


def theirs(name: str) -> dict[str, tuple[str, bool]]:
    """Type and whether it is needed, by pointer; without what they make entities of."""
    return dict(leaves(RECORDED["schema"]["Answerable"]["commonTypes"][f"{name}Input"], "", True))


def leaves(record: Any, path: str, needed: bool) -> Iterator[tuple[str, tuple[str, bool]]]:
    for member, attribute in record["attributes"].items():
        place, known = f"{path}/{member}", attribute.get("required", True) and needed
        if attribute["type"] == "Set":
            yield place, (f"Set of {CEDAR[attribute['element']['name']]}", known)
        elif attribute["type"] == "EntityOrCommon" and attribute["name"] in CEDAR:
            yield place, (CEDAR[attribute["name"]], known)
        elif attribute["type"] == "EntityOrCommon":
            space, _, kind = attribute["name"].rpartition("::")
            yield from leaves(RECORDED["schema"][space]["commonTypes"][kind], place, False)


def ours(tool: Any) -> dict[str, tuple[str, bool]]:
    """The same of the context that policies are checked against, for the capability that is proposed."""
    document = proposed("crm", tool).document
    snapshot = snapshot_of([*bench_documents(), document])
    (capability,) = snapshot.idle.values()
    context: Any = context_type(capability, NO_PARTS)
    found = context["attributes"]["arguments"]["attributes"]
    told: dict[str, tuple[str, bool]] = {}
    for mapping in capability.arguments:
        attribute = found[mapping.name]
        kind = attribute["type"]
        named = f"Set of {attribute['element']['type']}" if kind == "Set" else kind
        told[mapping.pointer or f"/{mapping.name}"] = (named, attribute["required"])
    return told


@pytest.mark.parametrize("tool", RECORDED["tools"], ids=lambda tool: tool["name"])
def test_a_context_from_a_tools_schema_has_the_types_that_cedars_generator_gives_it(tool: Any):
    assert ours(tool) == theirs(tool["name"])


def test_what_they_make_an_entity_of_a_caller_is_not_shown_to_policies():
    (tool,) = [one for one in RECORDED["tools"] if one["name"] == "measure"]
    attributes = RECORDED["schema"]["Answerable"]["commonTypes"]["measureInput"]["attributes"]
    assert attributes["ratio"]["type"] == "Entity"
    assert set(ours(tool)) == {"/unit"}
