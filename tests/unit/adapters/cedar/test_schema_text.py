"""Claims about a stored schema that is not the one of the registry."""

from __future__ import annotations

import dataclasses

import pytest

from answerable.adapters.cedar.schema_text import schema_fault, schema_text
from tests.worlds.policy import REGISTRY

pytestmark = pytest.mark.requirement("SET-01")


def test_the_first_name_that_differs_is_told_and_not_the_brackets_around_it():
    before = schema_text(dataclasses.replace(REGISTRY, policy_sets={}))
    fault = schema_fault("schema.cedarschema", before, REGISTRY)
    assert fault is not None
    assert (fault.code, fault.line > 1) == ("schema.stale", True)
    added = schema_text(REGISTRY)
    told = fault.message.split("`")[1]
    assert told.startswith("+ ")
    assert told[2:] in added
    assert told[2:] not in before
    assert "`answerable policy schema --for DIR --output DIR/schema.cedarschema`" in fault.message


def test_the_schema_of_the_registry_has_no_fault_and_line_ends_alone_are_told():
    text = schema_text(REGISTRY)
    assert schema_fault("schema.cedarschema", text, REGISTRY) is None
    fault = schema_fault("schema.cedarschema", text + "\n\n", REGISTRY)
    assert fault is not None
    assert "line ends" in fault.message
