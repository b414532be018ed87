"""Decisions whose questions earlier versions wrote are asked again for ever, and all come out as they were."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from answerable.core.ledger.disclosure import opened_fields
from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.subject_key import SubjectKey, key_id_of
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.verify.decision_replay import DECIDED
from answerable.verify.ledger_replay import replay_entries

pytestmark = pytest.mark.requirement("HOUSE-40", "HOUSE-41", "ANSWER-01")

RECORDED = Path(__file__).parent
VERSIONS = {one: f"decisions-question-{one}.json" for one in (1, 2, 3)}
SAID = {
    "as policy says": ["allow", "deny", "defer", "allow"],
    "as the mandate says": ["deny"],
    "narrowed": ["allow"],
    "held": ["deny"],
    "by an argument": ["deny"],
}
BY_VERSION = pytest.mark.parametrize("version", VERSIONS)


def logs(version: int) -> list[dict[str, Any]]:
    found = json.loads((RECORDED / VERSIONS[version]).read_text())
    assert [one["log"] for one in found] == [*SAID]
    return found


def stored(log: dict[str, Any]) -> list[StoredEntry]:
    entries = []
    for index, one in enumerate(log["entries"]):
        leaf = one["leaf"].encode()
        entries.append(
            StoredEntry(
                index=index,
                tag=json.loads(leaf)["tag"],
                leaf=leaf,
                attachment=b64decode(one["attachment"]),
                leaf_hash=leaf_hash(leaf),
            )
        )
    return entries


def keys(log: dict[str, Any]) -> dict[bytes, SubjectKey]:
    pairs = ((bytes.fromhex(name), bytes.fromhex(secret)) for name, secret in log["keys"].items())
    return {name: SubjectKey(id=name, secret=secret) for name, secret in pairs}


@BY_VERSION
def test_every_recorded_decision_comes_out_as_it_was(version: int) -> None:
    for log in logs(version):
        found = [*replay_entries(stored(log), keys(log).get)]
        assert [one.recorded.effect for one in found] == SAID[log["log"]]
        assert [(one.verdict, one.unchecked) for one in found] == [("same", ())] * len(found), found


@BY_VERSION
def test_the_recorded_questions_are_of_the_version_that_the_file_says(version: int) -> None:
    for log in logs(version):
        for entry in stored(log):
            if entry.tag in DECIDED:
                opened = opened_fields(entry.attachment, keys(log)[key_id_of(entry.attachment)])
                (asked,) = (json.loads(bytes(one.value)) for one in opened if one.name == "question")
                assert asked["v"] == version


@pytest.mark.requirement("HOUSE-41")
@BY_VERSION
def test_an_intent_says_what_it_uses_and_no_more_and_intents_of_before_said_when_it_was_nothing(
    version: int,
) -> None:
    intents = [json.loads(one.leaf) for log in logs(version) for one in stored(log) if one.tag == Tag.INTENT]
    assert len(intents) == 3
    names = ("approval", "key", "lease")
    said = [{name: leaf[name] for name in names if name in leaf} for leaf in intents]
    approvals = [one["approval"] for one in said if one.get("approval")]
    assert len(approvals) == 1
    if version == 1:
        assert [(one["key"], one["lease"]) for one in said] == [(leaf["action"], "") for leaf in intents]
    else:
        assert said == [{}, {"approval": approvals[0]}, {}]
    always = [{"method", "lifted"} & (leaf.keys() | leaf["decision"].keys()) for leaf in intents]
    assert always == ([{"method", "lifted"}] * 3 if version < 3 else [set(), {"lifted"}, set()])


@pytest.mark.requirement("HOUSE-43")
@BY_VERSION
def test_an_intent_refers_by_index_and_intents_of_before_by_leaf_hash_too(version: int) -> None:
    for log in logs(version):
        entries = stored(log)
        for one in entries:
            leaf = json.loads(one.leaf)
            told = [leaf[name] for name in ("mandate_ref", "policy_ref", "tool_ref") if one.tag == Tag.INTENT]
            if version == 3:
                assert all(type(index) is int and entries[index].tag == Tag.CITED for index in told)
            else:
                assert all(entries[ref["entry"]].leaf_hash.hex() == ref["leaf"] for ref in told)
            if one.tag == Tag.OUTCOME:
                assert ("intent_leaf" in leaf) == (version < 3)
