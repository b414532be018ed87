from __future__ import annotations

import pytest

from answerable.adapters.cedar import policy_groups, publishing
from answerable.adapters.cedar.policy_groups import GROUP_POLICIES, UnevenGroupsError, parsed_policies
from answerable.adapters.cedar.publishing import published
from answerable.core.registry.policy_sets.policy_text import Statement, statements
from answerable.errors import Malformed
from tests.worlds.policy import REGISTRY

pytestmark = pytest.mark.requirement("PUB-08")


def many(count: int, *, between: str = "\n") -> str:
    return between.join(
        f'@id("p{number}") @reason("; // {number}") permit (principal == Agent::"a{number}", action, resource);'
        for number in range(count)
    )


@pytest.mark.parametrize("between", ["\n", " // ; permit\n", '\n// "\n', ""])
@pytest.mark.parametrize("count", [1, GROUP_POLICIES, GROUP_POLICIES + 1, 3 * GROUP_POLICIES + 2])
def test_in_groups_the_same_policies_are_read_as_at_once(count, between, monkeypatch):
    text = many(count, between=between)
    pieces = statements(text)
    in_groups = dict(parsed_policies(text, pieces))
    assert in_groups == dict(parsed_policies(text, pieces, whole=True))
    assert len(in_groups) == count
    grouped = published(text, REGISTRY)
    monkeypatch.setattr(policy_groups, "GROUP_POLICIES", 10_000)
    assert published(text, REGISTRY).policies == grouped.policies


def test_faults_are_told_with_the_names_they_have_in_the_whole_text():
    text = many(2 * GROUP_POLICIES) + '@id("odd") forbid (principal, action == Action::"none", resource);'
    text += "\npermit (principal, action, resource);" + many(1)
    with pytest.raises(Malformed) as refused:
        published(text, REGISTRY)
    for told in ("policy `odd`", "policy on line 51 has no `@id`", "policy id `p0` is used twice"):
        assert told in refused.value.message


def test_text_that_is_split_otherwise_than_cedar_does_is_taken_at_once(monkeypatch):
    text = many(GROUP_POLICIES + 3)
    first, second, *others = statements(text)
    uneven = (Statement(line=1, text=first.text + second.text), *others)
    with pytest.raises(UnevenGroupsError):
        list(parsed_policies(text, uneven))
    expected = published(text, REGISTRY)
    monkeypatch.setattr(publishing, "statements", lambda _: uneven)
    assert published(text, REGISTRY).policies == expected.policies
