"""How the types of answers and bodies become schemas of the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType, field

from answerable.api.members import Component, Count, Nothing, Page, Part, Token
from answerable.apps.control_api.call import Call
from answerable.apps.control_api.component_schemas import component_schemas
from answerable.apps.control_api.operation import operation

pytestmark = pytest.mark.requirement("HOUSE-52")


class Row(Part, frozen=True, kw_only=True):
    title: str
    state: Annotated[Literal["b", "a"], Meta(description="how it is")]


class Named(Component, frozen=True, kw_only=True):
    since: str = field(name="from")


class Whole(Component, frozen=True, kw_only=True):
    rows: tuple[Row, ...]
    one: Row | None
    named: Named
    cut: Count | UnsetType = UNSET
    last: dict[str, Any]


def test_a_part_is_inside_of_what_has_it_and_a_component_is_referred_to() -> None:
    row = {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "state": {"type": "string", "enum": ["b", "a"], "description": "how it is"},
        },
        "required": ["title", "state"],
        "additionalProperties": False,
    }
    assert component_schemas([Whole]) == {
        "Named": {
            "type": "object",
            "properties": {"from": {"type": "string"}},
            "required": ["from"],
            "additionalProperties": False,
        },
        "Whole": {
            "type": "object",
            "properties": {
                "rows": {"type": "array", "items": row},
                "one": {"anyOf": [row, {"type": "null"}]},
                "named": {"$ref": "#/components/schemas/Named"},
                "cut": {"type": "integer", "minimum": 0},
                "last": {"type": "object"},
            },
            "required": ["rows", "one", "named", "last"],
            "additionalProperties": False,
        },
    }


def test_a_second_object_with_the_name_of_a_component_is_refused() -> None:
    other = msgspec.defstruct("Token", [("other", str)], bases=(Component,), frozen=True, kw_only=True)
    with pytest.raises(ValueError, match="several of"):
        component_schemas([other, Token])


def test_an_operation_has_the_names_of_its_types() -> None:
    async def show(call: Call) -> Page[Whole]:
        raise AssertionError

    made = operation("GET", "/v1/x", id="x", summary="", answer=Page[Whole], body=Nothing)(show)
    assert (made.answer, made.body, made.page, made.types) == ("Whole", "Nothing", True, (Whole, Nothing))
    assert made.run is show


@pytest.mark.parametrize("answer", [Row, dict, Page[Row]])
def test_an_operation_answers_a_component_or_a_page_of_one(answer: Any) -> None:
    with pytest.raises(TypeError, match="expected a component"):
        operation("GET", "/v1/x", id="x", summary="", answer=answer)
