"""The document of the control API says of each operation and object what was recorded."""

from __future__ import annotations

from typing import Any

import pytest

from control_document import meaning, now, recorded

WHOLE = {
    "type": "object",
    "properties": {"state": {"type": "string", "enum": ["b", "a"]}, "at": {"type": ["integer", "null"]}},
    "required": ["state", "at"],
}


@pytest.mark.requirement("HOUSE-50")
@pytest.mark.parametrize("what", ["paths", "schemas"])
def test_each_recorded_operation_and_object_means_what_it_meant(what: str) -> None:
    made, stored = now(), recorded()
    assert len(stored[what]) > 80
    for name, before in stored[what].items():
        after = meaning(made[what].get(name), made["schemas"])
        assert after == meaning(before, stored["schemas"]), (
            f"{name}: `python tools/control_document.py`, if it is meant"
        )


def changed(**change: Any) -> dict[str, Any]:
    return {**WHOLE, **change}


@pytest.mark.requirement("HOUSE-50")
def test_an_object_that_is_referred_to_means_what_it_means_written_out() -> None:
    reference = {"anyOf": [{"$ref": "#/components/schemas/Whole"}, {"type": "null"}]}
    assert meaning(reference, {"Whole": WHOLE}) == meaning({"anyOf": [WHOLE, {"type": "null"}]}, {})
    assert meaning(reference, {"Whole": changed(required=[])}) != meaning(reference, {"Whole": WHOLE})


@pytest.mark.requirement("HOUSE-50")
def test_the_same_written_in_another_way_means_the_same() -> None:
    alternatives = {"oneOf": [{"type": "integer"}, {"type": "null"}]}
    words = {"type": "string", "enum": ["a", "b"]}
    other = changed(properties={"at": alternatives, "state": words}, required=["at", "state"])
    assert meaning(other, {}) == meaning(WHOLE, {})


@pytest.mark.requirement("HOUSE-50")
@pytest.mark.parametrize(
    "change",
    [
        {"required": ["state"]},
        {
            "properties": {
                "state": {"type": "string", "enum": ["b", "a", "c"]},
                "at": WHOLE["properties"]["at"],
            }
        },
        {"properties": {"state": WHOLE["properties"]["state"], "at": {"type": "integer"}}},
        {"properties": {"state": WHOLE["properties"]["state"]}},
        {"additionalProperties": False},
    ],
)
def test_a_change_of_members_words_or_types_is_found(change: dict[str, Any]) -> None:
    assert meaning(changed(**change), {}) != meaning(WHOLE, {})
