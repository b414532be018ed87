"""What a stranger finds in the answers of workflows, with nothing but the entries that are shown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from answerable.core.canonical import encode, parse
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import Bench
from answerable.testing.samples import signing_key
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.worlds.parts import to_apply
from tests.worlds.selected import selected
from tests.worlds.workflow import CHECK, answered, documents, waiting, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WORKFLOW-09")]
ABOUT = (Tag.REGISTRY_CHANGE, Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.INTENT)


async def ran() -> Bench:
    """A refund that a workflow said yes to, and that ran."""
    bench, approval = await waiting(given=documents())
    await answered(bench, approval)
    assert (await bench.refund(6000)).outcome is not None
    return bench


def found(bench: Bench, change: Any = None) -> tuple[list[str], int]:
    """The rules that are broken, and what could not be compared. change: of tag, name and value, gives another value
    as JSON, or None to hide it."""
    check = ShownAnswers()
    for stored in bench.recorder.ledger.replay():
        if stored.tag not in ABOUT:
            continue
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        fields = []
        for one in disclosures_of(stored, bench.recorder.subject_keys.find) or ():
            value = parse(bytes(one.value))
            value = change(stored.tag, one.name, value) if change else value
            if value is not None:
                fields.append(msgspec.structs.replace(one, value=msgspec.Raw(encode(value))))
        check.take(stored.index, leaf, fields)
    return [fault.rule for _, fault in check.faults()], check.unread


async def test_a_workflows_answer_that_is_what_it_seems_is_found_so():
    assert found(await ran()) == ([], 0)


async def test_a_key_that_the_registry_did_not_give_it_is_found():
    def other_key(tag: Tag, name: str, value: Any) -> Any:
        if tag == Tag.REGISTRY_CHANGE and name == "changes" and f"Workflow/{CHECK}" in value:
            key = parse(signing_key("somebody").public.jwk.encode())
            value[f"Workflow/{CHECK}"]["spec"]["keys"] = [key]
        return value

    assert found(await ran(), other_key) == (["approval.workflow"], 0)


async def test_another_owner_than_the_registry_says_is_found():
    def other_owner(tag: Tag, name: str, value: Any) -> Any:
        return "bob" if tag == Tag.APPROVAL_ANSWER and name == "person_name" else value

    assert found(await ran(), other_owner) == (["approval.workflow"], 0)


async def test_of_a_workflow_that_no_entry_shows_nothing_is_said():
    """A bundle has not every entry: what it leaves out is neither right nor wrong."""

    def unregistered(tag: Tag, name: str, value: Any) -> Any:
        if tag == Tag.REGISTRY_CHANGE and name == "changes":
            value.pop(f"Workflow/{CHECK}", None)
        return value

    assert found(await ran(), unregistered) == ([], 1)


async def test_one_that_was_removed_or_disabled_before_is_found():
    """Its document as a change between says; the entries before stand as they are."""
    bench, approval = await waiting(given=documents())
    await answered(bench, approval)

    def gone(tag: Tag, name: str, value: Any) -> Any:
        if tag == Tag.REGISTRY_CHANGE and name == "changes":
            value[f"Workflow/{CHECK}"] = None
        return value

    def disabled(tag: Tag, name: str, value: Any) -> Any:
        if tag == Tag.REGISTRY_CHANGE and name == "changes":
            value[f"Workflow/{CHECK}"]["spec"]["status"] = "disabled"
        return value

    assert found(bench, gone)[0] == found(bench, disabled)[0] == ["approval.workflow"]


async def test_evidence_of_an_action_takes_the_document_of_its_workflow_along():
    bench = await ran()
    await apply_registry(*to_apply(bench.walk), [workflow("other", uid=3009)], by="operator")
    (intent,) = bench.entries(Tag.INTENT)
    picked = {*selected(bench.recorder.ledger.replay(), action=str(intent["action"]))}
    (first, *_) = [one for one in bench.entries(Tag.REGISTRY_CHANGE) if CHECK in one.get("workflows", ())]
    assert first["index"] in picked
    assert not any(
        one["index"] in picked
        for one in bench.entries(Tag.REGISTRY_CHANGE)
        if CHECK not in one.get("workflows", ())
    )


async def test_an_answer_by_documents_that_another_shards_log_has_is_left_open():
    """Its key was changed elsewhere: this log says of it only what was before, and the answer is honest."""
    bench, approval = await waiting(given=documents())
    elsewhere = workflow(keys=[parse(signing_key("another").public.jwk.encode())])
    bench.authority.registry.put(
        {**bench.authority.registry.documents(), f"Workflow/{CHECK}": encode(elsewhere)}
    )
    assert (await answered(bench, approval, key="another")).state == "approved"
    assert (await bench.refund(6000)).outcome is not None
    assert found(bench) == ([], 1)


async def test_a_key_that_it_never_had_is_found_also_after_other_documents_were_applied():
    bench, approval = await waiting(given=documents())
    await apply_registry(*to_apply(bench.walk), [workflow("other", uid=3009)], by="operator")
    await answered(bench, approval)

    def other_key(tag: Tag, name: str, value: Any) -> Any:
        if tag == Tag.REGISTRY_CHANGE and name == "changes" and f"Workflow/{CHECK}" in value:
            value[f"Workflow/{CHECK}"]["spec"]["keys"] = [parse(signing_key("x").public.jwk.encode())]
        return value

    assert found(bench) == ([], 0)
    assert found(bench, other_key)[0] == ["approval.workflow"]


async def test_documents_that_are_hidden_leave_it_unread():
    def hidden(tag: Tag, name: str, value: Any) -> Any:
        return None if tag == Tag.REGISTRY_CHANGE and name == "changes" else value

    assert found(await ran(), hidden) == ([], 1)


async def test_what_came_into_force_later_does_not_vouch_for_what_was_before():
    """A key is the workflow's from the entry that says so; one that was taken away later was its own before."""
    bench = await ran()
    await apply_registry(*to_apply(bench.walk), [workflow(keys=[])], by="operator")
    assert found(bench) == ([], 0)
