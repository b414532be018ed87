"""Known answers of the question of each version: what is written of a decision, and that all versions say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from answerable.core.decision.asked import read_question
from answerable.core.decision.question import QUESTION_VERSION
from answerable.errors import Malformed
from tests.vectors.answerable.questions.generate import CASES, FOLDER, made

pytestmark = pytest.mark.requirement("HOUSE-40")

TEXTS: dict[int, dict[str, str]] = {
    version: json.loads((FOLDER / f"version-{version}.json").read_text())
    for version in range(1, QUESTION_VERSION + 1)
}
NAMES = [*CASES, "held"]
BY_NAME = pytest.mark.parametrize("name", NAMES)


def read(text: str) -> dict[str, Any]:
    found = json.loads(msgspec.json.encode(read_question(text.encode())))
    assert isinstance(found, dict)
    del found["v"]
    return found


def test_what_is_written_today_is_what_is_stored() -> None:
    assert made() == TEXTS[QUESTION_VERSION]


@BY_NAME
def test_every_version_is_read_as_the_same_question(name: str) -> None:
    said = json.loads(TEXTS[1][name])
    assert (said.pop("v"), bool(said.pop("sources"))) == (1, True)
    said["approval"] = said["approval"] and {"glass": [], **said["approval"]}
    whole = {"hold": None, **said}
    for version, texts in TEXTS.items():
        assert json.loads(texts[name])["v"] == version
        assert read(texts[name]) == whole, f"version {version}"


@BY_NAME
@pytest.mark.parametrize("version", [2, 3])
def test_what_is_said_counts_and_not_what_its_absence_would_mean(name: str, version: int) -> None:
    asked = json.loads(TEXTS[version][name])
    asked |= {"mandate_state": "closed", "mapping": [["a", "string", True, ""]], "rule": "some.rule"}
    asked["context"] |= {"history": {"n": 1}, "destination": {"names": ["x"]}, "chain": {"depth": 2}}
    asked["context"]["agent"]["drifted"] = True
    asked["context"].pop("risk", None)
    found = read(json.dumps(asked))
    assert (found["mandate_state"], found["rule"]) == ("closed", "some.rule")
    assert found["mapping"] == [["a", "string", True, ""]]
    context = found["context"]
    assert (context["history"], context["chain"]) == ({"n": 1}, {"depth": 2})
    assert context["destination"] == {"class": "none", "classes": ["none"], "names": ["x"], "type": ""}
    assert (context["agent"]["drifted"], context["agent"]["manifest"]) == (True, "")
    assert "risk" not in context, "where a rule said no there was none, and none is made up"


@pytest.mark.parametrize("version", [0, 4, 10**6])
def test_a_version_that_this_release_does_not_know_is_said_to_be_one(version: int) -> None:
    with pytest.raises(Malformed, match=f"has version {version}, expected at most 3") as told:
        read_question(json.dumps({**json.loads(TEXTS[3]["trial 0"]), "v": version}).encode())
    assert told.value.code == "question.version"


def test_version_3_says_what_differs_from_what_it_says_elsewhere() -> None:
    asked = json.loads(TEXTS[3]["trial 0"])
    own: dict[str, dict[str, Any]] = {
        "agent": {"environment": "lab", "tier": 0},
        "budget": {"calls_left": 1, "left_percent": 7, "rows_left": 2},
        "capability": {"environment": "lab", "kind": "execute", "owner": "zoe", "reversible": True},
        "task": {"use_case": "other"},
    }
    for member, said in own.items():
        asked["context"][member] = {**asked["context"].get(member, {}), **said}
    found = read_question(json.dumps(asked).encode())
    for member, said in own.items():
        assert {name: found.context[member][name] for name in said} == said


@pytest.mark.parametrize(("member", "name"), [("agent", "owner"), ("task", "calls_max"), ("task", "calls_used")])
def test_version_3_makes_up_nothing_where_what_it_would_repeat_is_missing(member: str, name: str) -> None:
    asked = json.loads(TEXTS[3]["trial 0"])
    asked["context"].pop("budget", None)
    del asked["context"][member][name]
    with pytest.raises(Malformed) as told:
        read_question(json.dumps(asked).encode())
    assert told.value.code == "question.malformed"


@pytest.mark.parametrize("member", ["approval", "mandate_state", "rule"])
def test_version_1_says_everything_and_means_nothing_by_saying_nothing(member: str) -> None:
    asked = json.loads(TEXTS[1]["trial 0"])
    del asked[member]
    with pytest.raises(Malformed) as told:
        read_question(json.dumps(asked).encode())
    assert told.value.code == "question.malformed"


@pytest.mark.parametrize("version", TEXTS)
@pytest.mark.parametrize("member", ["agent", "destination", "history", "task", "chain"])
def test_a_member_of_the_context_that_is_no_object_is_refused(version: int, member: str) -> None:
    asked = json.loads(TEXTS[version]["trial 0"])
    asked["context"][member] = [1]
    with pytest.raises(Malformed) as told:
        read_question(json.dumps(asked).encode())
    assert told.value.code == "question.malformed"


def test_a_version_1_question_from_before_a_member_of_its_context_was_told_is_not_filled_in() -> None:
    asked = json.loads(TEXTS[1]["trial 0"])
    del asked["context"]["agent"]["drifted"], asked["mapping"]
    found = read_question(json.dumps(asked).encode())
    assert "drifted" not in found.context["agent"]
    assert found.mappings() is None


def test_the_reference_page_says_what_absence_means_and_where_each_part_comes_from() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/wire/ledger.md").read_text()
    table = page[page.index("### The question") : page.index("## Attachment")]
    for member in {*json.loads(TEXTS[1]["trial 0"])["sources"], "hold"}:
        assert f"`{member}`" in table, member
