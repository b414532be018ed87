"""`set.yaml`, read strictly."""

from __future__ import annotations

from answerable.core.registry.documents.fields import Fault
from answerable.core.registry.parsing.set_head import ApproverGroup, compiled_document, head_in


def read(value):
    faults: list[Fault] = []
    return head_in(value, faults), [(one.path, one.code) for one in faults]


def test_a_head_says_name_groups_and_lists():
    trackers = [{"name": "reads", "over": "mandate"}]
    head, faults = read(
        {
            "name": "own",
            "groups": [{"name": "finance"}, {"name": "board", "membersMin": 5}],
            "trackers": trackers,
        }
    )
    assert not faults
    assert head.groups == (
        ApproverGroup(name="finance", members_min=2),
        ApproverGroup(name="board", members_min=5),
    )
    assert compiled_document(head, "permit …") == {
        "apiVersion": "answerable/v1",
        "kind": "PolicySet",
        "metadata": {"name": "own"},
        "spec": {"policies": "permit …", "trackers": trackers},
    }


def test_every_fault_has_its_place():
    assert read([])[1] == [("", "document.type")]
    assert read({})[1] == [("/name", "document.missing")] or read({})[1] == [("", "document.missing")]
    assert read({"name": "own", "policies": "permit"})[1] == [("/policies", "document.unknown_key")]
    assert read({"name": "own", "groups": [{"name": "a", "membersMin": 0}]})[1] == [
        ("/groups/0/membersMin", "document.range")
    ]
    assert read({"name": "own", "groups": [{"name": "Finance"}]})[1] == [("/groups/0/name", "name.invalid")]
