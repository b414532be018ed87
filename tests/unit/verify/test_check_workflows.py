"""What a stranger believes of a workflow whose changes are shown in part."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.ledger.records_statements import WORKFLOWS_NAMED_MAX
from answerable.core.registry.documents.documents import WORKFLOW
from answerable.testing.samples import signing_key
from answerable.verify.check_workflows import ShownWorkflows

KEY = signing_key("alice").public


def shown(**documents: dict[str, JSONValue]) -> dict[str, bytes]:
    return {"changes": encode({f"{WORKFLOW}{name}": one for name, one in documents.items()})}


def workflow(**spec: Any) -> dict[str, JSONValue]:
    return {"spec": {"ownership": {"owner": "alice"}, "keys": [parse(KEY.jwk.encode())], **spec}}


def known() -> ShownWorkflows:
    check = ShownWorkflows()
    check.take_change(shown(refunds=workflow(), reports=workflow()), ["refunds", "reports"], "one")
    assert [check.is_told(name) for name in ("refunds", "reports")] == [True, True]
    assert check.fault("refunds", KEY.jwk, "alice") is None
    return check


@pytest.mark.requirement("WORKFLOW-09")
def test_a_workflow_is_as_it_was_last_shown_until_it_changes_without_being_shown() -> None:
    check = known()
    check.take_change({}, ["refunds"], "two")
    assert [check.is_told(name) for name in ("refunds", "reports")] == [False, True]
    check.take_change(shown(refunds=workflow(status="disabled")), ["refunds"], "three")
    assert check.is_told("refunds")
    assert check.fault("refunds", KEY.jwk, "alice") is not None


def test_a_change_with_room_for_no_more_names_may_be_of_any_workflow() -> None:
    check = known()
    check.take_change({}, [f"w{number}" for number in range(WORKFLOWS_NAMED_MAX)], "two")
    assert [check.is_told(name) for name in ("refunds", "reports")] == [False, False]
