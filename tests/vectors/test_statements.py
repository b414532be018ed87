"""Known answers of every kind of signed statement: its bytes, what is read from it, and what other kinds say to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.vectors.answerable.statements.generate import FILE, answer_to, encoded, made
from tests.vectors.answerable.statements.kinds import KINDS, Kind

pytestmark = pytest.mark.requirement("STATEMENT-01")

VECTORS: dict[str, dict[str, Any]] = {one["kind"]: one for one in json.loads(FILE.read_text())["kinds"]}
BY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
ERROR = {"branch", "code", "message"}


def test_the_stored_file_is_what_is_signed_and_said_today() -> None:
    assert FILE.read_text() == encoded(made()), "run the generator, and look at what changed"


def test_every_kind_has_its_vector() -> None:
    assert [*VECTORS] == [kind.name for kind in KINDS]


@BY_KIND
def test_what_was_signed_is_accepted_and_signed_again_with_the_same_bytes(kind: Kind) -> None:
    stored = VECTORS[kind.name]
    assert answer_to(kind, stored["token"]) == {"read": stored["read"]}
    assert kind.sign() == stored["token"]
    assert stored["header"]["typ"] == kind.typ == stored["typ"]


@BY_KIND
def test_the_statement_of_another_kind_is_refused(kind: Kind) -> None:
    for other, stored in VECTORS.items():
        if stored["typ"] == kind.typ:
            continue
        answer = answer_to(kind, stored["token"])
        assert answer == VECTORS[kind.name]["of_others"][other]
        assert answer.keys() == ERROR, f"{kind.name} takes {other}"


@BY_KIND
def test_a_token_that_is_not_whole_or_not_what_was_signed_is_refused(kind: Kind) -> None:
    for one in VECTORS[kind.name]["spoilt"].values():
        assert answer_to(kind, one["token"]).items() <= one.items()
        assert one.keys() == ERROR | {"token"}, f"{kind.name} takes {one['token']}"


def test_answers_of_one_type_are_told_apart_by_what_they_say() -> None:
    said = {name: VECTORS[name]["read"]["verdict"] for name in ("approve", "deny", "narrower", "break_glass")}
    assert said == {"approve": "approve", "deny": "deny", "narrower": "deny", "break_glass": "break_glass"}
    for kind in KINDS:
        if kind.name in said:
            for other, verdict in said.items():
                assert kind.read(VECTORS[other]["token"])["verdict"] == verdict


def test_a_step_of_publishing_is_no_other_step() -> None:
    steps = [kind for kind in KINDS if kind.name in ("propose", "publish", "rollback")]
    for kind in steps:
        for other in steps:
            answer = answer_to(kind, VECTORS[other.name]["token"])
            assert answer.get("code") == (None if other is kind else "publication.other")
