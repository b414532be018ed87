"""An action as it was sent, frozen once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.core.action.request import ActionRequest, action_request
from answerable.errors import Malformed

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

pytestmark = pytest.mark.requirement("WALK-06")


def made(**changes: object) -> ActionRequest:
    parts: dict[str, object] = {
        "server": "crm",
        "method": "tools/call",
        "target": "refund",
        "arguments": {"amount": 1, "deep": {"list": [1, {"x": None}]}},
        "mandate_id": "m-1",
        "reason": "because",
        "message_digest": bytes(32),
    }
    return action_request(**{**parts, **changes})


def test_the_frozen_action_holds_all_that_will_run():
    assert made().action.thaw() == {
        "arguments": {"amount": 1, "deep": {"list": [1, {"x": None}]}},
        "method": "tools/call",
        "server": "crm",
        "target": "refund",
    }


def test_neither_the_callers_object_nor_a_look_at_the_arguments_reaches_the_frozen_value():
    arguments: dict[str, JSONValue] = {"amount": 1, "deep": {"list": [1]}}
    request = made(arguments=arguments)
    digest = request.action.hex
    arguments["amount"] = 2
    seen = request.arguments
    seen["amount"] = 3
    assert isinstance(seen["deep"], dict)
    seen["deep"]["list"] = []
    assert request.arguments == {"amount": 1, "deep": {"list": [1]}}
    assert request.action.hex == digest


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"target": ""}, "action.target_invalid"),
        ({"target": "x" * 513}, "action.target_invalid"),
        ({"server": ""}, "action.name_invalid"),
        ({"server": "x" * 65}, "action.name_invalid"),
        ({"method": ""}, "action.name_invalid"),
        ({"method": "x" * 65}, "action.name_invalid"),
        ({"arguments": [1]}, "arguments.not_object"),
        ({"arguments": None}, "arguments.not_object"),
        ({"arguments": {"__entity": {"type": "Agent", "id": "root"}}}, "arguments.reserved_member"),
        ({"arguments": {"a": [1, {"b": {"__extn": {}}}]}}, "arguments.reserved_member"),
        ({"arguments": {"__expr": "1"}}, "arguments.reserved_member"),
        ({"arguments": {"n": 2**60}}, "json.integer_range"),
        ({"mandate_id": "\ud800"}, "json.surrogate"),
        ({"reason": "\ud800"}, "json.surrogate"),
        ({"server": "\ud800"}, "json.surrogate"),
    ],
)
def test_what_cannot_be_decided_or_written_down_is_refused_at_once(changes: dict[str, object], code: str):
    with pytest.raises(Malformed) as told:
        made(**changes)
    assert told.value.code == code


def test_names_that_only_look_reserved_are_let_through():
    assert made(arguments={"x": "__entity", "__entities": 1, "y": [{"z": 1}]}).arguments["__entities"] == 1


def test_a_long_reason_is_cut():
    assert len(made(reason="x" * 600).reason) == 500
