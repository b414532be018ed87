"""The words that the control API's document lists are those of the rest of the product.

A client must not import where they are defined, so the types of answers repeat those that it would take too long to
import.
"""

from __future__ import annotations

from typing import Any, get_args

import pytest

from answerable.apps.control_api import approval_operations, hold_operations
from answerable.apps.control_api.openapi import schemas
from answerable.core.approval.assurance_level import SIGNATURES
from answerable.core.approval.token import Verdict
from answerable.core.decision.decision import Effect
from answerable.core.incident.under_manifest import Standing as FieldStanding
from answerable.core.ledger.records_workload import SvidKind
from answerable.core.registry.documents.capability import ACTION_KINDS
from answerable.core.registry.manifests.manifest import MADE_OF_FIELDS, MANIFEST_FIELDS
from answerable.core.registry.manifests.manifest_drift import Verdict as DriftVerdict
from answerable.flows.ledger.gather_cosignatures import State as WitnessWord
from answerable.flows.ledger.publish_set_checkpoint import State as ShardWord
from answerable.flows.tokens.trace_mandate import MANDATE_STATES
from answerable.flows.walk.agent_standing import Standing
from answerable.ports.message_channel import SentState

SAME = {
    ("Agent", "standing"): get_args(Standing),
    ("AgentTools", "verdict"): get_args(DriftVerdict),
    ("Approval", "state"): approval_operations.STATES,
    ("Approval", "answers", "verdict"): get_args(Verdict),
    ("ActionUnder", "made_of", "standing"): get_args(FieldStanding),
    ("Capability", "kind"): ACTION_KINDS,
    ("ChannelTested", "state"): get_args(SentState),
    ("DutyDelegation", "strength"): SIGNATURES,
    ("Hold", "state"): hold_operations.STATES,
    ("Instance", "made_of", "field"): MADE_OF_FIELDS,
    ("Instance", "made_of", "verdict"): get_args(DriftVerdict),
    ("Mandate", "state"): MANDATE_STATES,
    ("MandateTree", "state"): MANDATE_STATES,
    ("PolicyShadow", "differences", "was"): get_args(Effect),
    ("Shard", "state"): get_args(ShardWord),
    ("StandingChange", "svids_outstanding", "kind"): get_args(SvidKind),
    ("Witness", "state"): get_args(WitnessWord),
}


@pytest.mark.requirement("HOUSE-52")
@pytest.mark.parametrize("place", SAME, ids=".".join)
def test_the_document_lists_the_words_of_the_product(place: tuple[str, ...]) -> None:
    name, *members = place
    schema: Any = schemas()[name]
    for member in members:
        schema = schema.get("items", schema)["properties"][member]
    assert schema["enum"] == list(SAME[place])


@pytest.mark.requirement("HOUSE-52")
def test_the_form_of_a_manifest_has_the_fields_of_a_manifest() -> None:
    components: Any = schemas()
    schema = components["AgentManifest"]["properties"]["manifest"]
    assert [*schema["properties"]] == ["v", "agent", *MANIFEST_FIELDS]
