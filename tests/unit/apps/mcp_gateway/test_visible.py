from __future__ import annotations

import pytest

from answerable.apps.mcp_gateway.visible import allows, filtered

PAIRS = {("tools/call", "pay"), ("resources/read", "crm://case/{id}"), ("resources/read", "crm://desk")}


@pytest.mark.parametrize(
    ("use", "target", "seen"),
    [
        ("tools/call", "pay", True),
        ("tools/call", "Pay", False),
        ("tools/call", "pay ", False),
        ("tools/call", "pay\u200b", False),
        ("prompts/get", "pay", False),
        ("resources/read", "crm://desk", True),
        ("resources/read", "crm://case/4711", True),
        ("resources/read", "crm://case/4711/notes", False),
        ("resources/read", "crm://case/..", False),
        ("resources/read", "crm://case/{id}", False),
    ],
)
def test_targets_are_seen_by_exact_name_or_template(use, target, seen):
    assert allows(PAIRS, use, target) is seen


def test_a_list_shows_what_could_be_used_and_nothing_else():
    tools = [{"name": "pay"}, {"name": "PAY"}, {"name": "delete"}]
    assert filtered("tools/list", tools, PAIRS) == [{"name": "pay"}]
    assert filtered("prompts/list", tools, PAIRS) == []
    resources = [{"uri": "crm://case/1"}, {"uri": "crm://desk"}, {"uri": "crm://secret"}]
    assert filtered("resources/list", resources, PAIRS) == resources[:2]
    templates = [{"uriTemplate": "crm://case/{id}"}, {"uriTemplate": "crm://{any}"}]
    assert filtered("resources/templates/list", templates, PAIRS) == templates[:1]
    assert filtered("tools/list", tools, ()) == []
