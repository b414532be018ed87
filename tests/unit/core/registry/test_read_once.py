"""A document that was read without a fault is the same noun when it is read again."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from answerable.core.registry.parsing.parse import REMEMBERED_BYTES_MAX, shapes_of
from answerable.testing.samples import registry_documents

pytestmark = pytest.mark.requirement("FAST-44")


def server(**spec: Any) -> Any:
    return {
        "apiVersion": "answerable/v1",
        "kind": "Server",
        "metadata": {"name": "read-once"},
        "spec": {"url": "http://localhost/mcp", **spec},
    }


def test_the_same_document_is_the_same_noun_wherever_it_stands():
    documents = registry_documents()
    first = shapes_of(documents).nouns
    again = shapes_of(copy.deepcopy(documents[::-1])).nouns
    assert len(first) == len(documents)
    assert [one.noun for one in again] == [one.noun for one in first[::-1]]
    assert all(one.noun is other.noun for one, other in zip(again, first[::-1], strict=True))
    assert [one.document for one in again] == [*range(len(documents))]


def test_a_changed_document_is_another_noun_also_if_it_is_changed_in_place():
    document = server(callSecondsMax=60)
    before = shapes_of([document]).nouns[0].noun
    document["spec"]["callSecondsMax"] = 61
    after = shapes_of([document]).nouns[0].noun
    assert (before.call_seconds_max, after.call_seconds_max) == (60, 61)


@pytest.mark.parametrize("value", [60.0, "60", True])
def test_a_value_of_another_form_is_a_fault_after_the_right_form_was_read(value):
    assert not shapes_of([server(callSecondsMax=60)]).faults
    other, wrong = server(), server(callSecondsMax=value)
    faults = shapes_of([other, wrong]).faults
    assert [(one.document, one.path) for one in faults if one.path] == [
        (1, "/spec/callSecondsMax"), (1, "/metadata/name"),
    ]  # fmt: skip


def test_a_fault_is_told_with_its_place_each_time():
    wrong = server(color="red")
    for place in range(3):
        faults = shapes_of([*registry_documents()[:place], wrong]).faults
        assert [(one.document, one.path) for one in faults] == [(place, "/spec/color")]


def test_what_is_no_document_or_too_long_to_be_remembered_is_read_all_the_same():
    long = server(vendor="v", env={f"NAME{number}": "x" * 100 for number in range(200)}, command="run")
    del long["spec"]["url"]
    assert len(str(long)) > REMEMBERED_BYTES_MAX
    first, again = (shapes_of([copy.deepcopy(long)]) for _ in range(2))
    assert not first.faults
    assert first.nouns[0].noun == again.nouns[0].noun
    assert first.nouns[0].noun is not again.nouns[0].noun
    assert len(shapes_of([None, {"kind": {1: 2}}, "\ud800"]).faults) >= 3
