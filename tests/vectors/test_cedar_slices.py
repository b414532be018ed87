"""Cedar's tests, those by hand and those of its generator, by way of our slices, and odd ids by way of all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cedarpy
import msgspec
import pytest

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.engine import Engine, public_engine, raw_engine
from answerable.core.action.request import VerifiedRequest
from answerable.core.decision.decision import Decision
from answerable.core.identity.names.principal import AgentId
from answerable.core.registry.documents.documents import Agent
from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
from tests.worlds.policy import CAPABILITIES, Trial
from tests.vectors.cedar_suites import Sliced, Suite, archived, disagreement, written_by_hand

SUITES, REQUESTS, INVALID, ERRING = 7_809, 62_472, 1_619, 3_782
SAMPLED = 40
"""Every so many suites of the archive, by name, are asked in the short run."""
NAMED_AT_ONCE = 400


def judged(suites: Iterator[Suite] | tuple[Suite, ...], engine: Engine) -> Counter[str]:
    """How many were asked, how many by fewer policies than the text has; raises for answers that are not Cedar's."""
    counted: Counter[str] = Counter()
    wrong = []
    for suite in suites:
        sliced = Sliced(suite, engine)
        counted["suites"] += 1
        for wanted in suite.requests:
            found, decision, used = sliced.answer(wanted)
            counted["requests"] += 1
            counted["erring"] += bool(wanted["errors"])
            counted["cut"] += used < sliced.size
            if (fault := disagreement(found, decision, wanted)) is not None:
                wrong.append(f"{suite.name}: {fault}")
    assert not wrong, f"{len(wrong)} wrong: {wrong[:20]}"
    return counted


@pytest.mark.requirement("POLPROOF-01")
@pytest.mark.parametrize("engine", [raw_engine, public_engine])
def test_every_test_by_hand_is_answered_by_slice_as_cedar_says(
    vector_set: Callable[[str], Path], engine: Engine
):
    counted = judged(written_by_hand(vector_set("cedar")), engine)
    assert (counted["suites"], counted["requests"]) == (22, 74)
    assert counted["cut"] > 0


@pytest.mark.requirement("POLPROOF-02")
@pytest.mark.parametrize("engine", [raw_engine, public_engine])
def test_a_sample_of_the_corpus_is_answered_by_slice_as_cedar_says(
    vector_set: Callable[[str], Path], engine: Engine
):
    counted = judged(archived(vector_set("cedar"))[::SAMPLED], engine)
    assert counted["requests"] > REQUESTS // SAMPLED - 8
    assert counted["cut"] > 0


@pytest.mark.slow
@pytest.mark.requirement("POLPROOF-02")
@pytest.mark.parametrize("engine", [raw_engine, public_engine])
def test_the_whole_corpus_is_answered_by_slice_as_cedar_says(
    vector_set: Callable[[str], Path], engine: Engine
):
    counted = judged(archived(vector_set("cedar")), engine)
    assert (counted["suites"], counted["requests"], counted["erring"]) == (SUITES, REQUESTS, ERRING)


def judged_valid(suites: tuple[Suite, ...]) -> int:
    """How many Cedar would not publish; raises for a verdict that is not Cedar's."""
    wrong, invalid = [], 0
    for suite in suites:
        schema = cedarpy.Schema.from_str(suite.schema)
        invalid += not suite.validates
        if cedarpy.validate_policies(suite.policies, schema).validation_passed is not suite.validates:
            wrong.append(suite.name)
    assert not wrong, f"{len(wrong)} wrong: {wrong[:20]}"
    return invalid


@pytest.mark.requirement("POLPROOF-03")
def test_strict_validation_judges_a_sample_of_the_corpus_as_cedar_says(vector_set: Callable[[str], Path]):
    assert judged_valid(archived(vector_set("cedar"))[::SAMPLED]) > 0


@pytest.mark.slow
@pytest.mark.requirement("POLPROOF-03")
def test_strict_validation_judges_the_whole_corpus_as_cedar_says(vector_set: Callable[[str], Path]):
    assert judged_valid(archived(vector_set("cedar"))) == INVALID


def odd_ids(root: Path) -> list[str]:
    """Every entity id of the corpus, of requests and of entities, once."""
    found = set()
    for suite in archived(root):
        for wanted in suite.requests:
            found |= {wanted[key]["id"] for key in ("principal", "action", "resource")}
        found |= {one["uid"]["id"] for one in msgspec.json.decode(suite.entities)}
    return sorted(found)


def literal(text: str) -> str:
    """As Cedar text, everything but plain letters and digits by its number."""
    return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def chunks(ids: list[str]) -> Iterator[list[str]]:
    return (ids[at : at + NAMED_AT_ONCE] for at in range(0, len(ids), NAMED_AT_ONCE))


def registry(ids: list[str]) -> RegistrySnapshot:
    """Agents with these names, each of a use case of this name: no registry document could have most of them."""
    agents = {
        AgentId(name): Agent(name=AgentId(name), use_case=name, environment="production") for name in ids
    }
    return RegistrySnapshot(
        digest="0" * 64, agents=MappingProxyType(agents), capabilities=MappingProxyType(CAPABILITIES)
    )


def asked(*, agent: str = "plain", resource: str = "4711") -> VerifiedRequest:
    verified = Trial().verified()
    caller = msgspec.structs.replace(verified.caller, agent=AgentId(agent))
    return msgspec.structs.replace(
        verified, caller=caller, resource_id=resource, arguments={"case": resource}
    )


HEADS: dict[str, tuple[str, Callable[[str], VerifiedRequest]]] = {
    "a resource in a head": (
        "(principal, action, resource == Customer::{});",
        lambda name: asked(resource=name),
    ),
    "a resource in a condition": (
        "(principal, action, resource) when {{ resource == Customer::{} }};",
        lambda name: asked(resource=name),
    ),
    "an argument": (
        "(principal, action, resource is Customer) when {{ context.arguments.case == {} }};",
        lambda name: asked(resource=name),
    ),
    "an agent": ("(principal == Agent::{}, action, resource);", lambda name: asked(agent=name)),
    "a use case": ("(principal in UseCase::{}, action, resource);", lambda name: asked(agent=name)),
}


@pytest.mark.requirement("POLPROOF-04")
@pytest.mark.parametrize("what", HEADS)
def test_a_policy_that_names_an_odd_id_matches_it_and_nothing_else(
    vector_set: Callable[[str], Path], what: str
):
    ids = odd_ids(vector_set("cedar"))
    head, request = HEADS[what]
    assert len(ids) > 1_000
    facts = Trial().facts()
    for named in chunks(ids):
        text = "".join(
            f'@id("p{number}") permit{head.format(literal(one))}' for number, one in enumerate(named)
        )
        point = CedarDecisionPoint(published(text, registry(["plain", *named, "not named"])))
        wrong = []
        for number, one in enumerate(named):
            decision = point.decide(request(one), facts)
            if not allowed_by(decision, f"p{number}"):
                wrong.append((one, decision))
        assert not wrong
        assert point.decide(request("not named"), facts).determined_by == ("policy.default_deny",)


def allowed_by(decision: Decision, *policies: Any) -> bool:
    return decision.effect == "allow" and decision.determined_by == policies
