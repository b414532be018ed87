"""One proof, one agent."""

from __future__ import annotations

from answerable.core.registry.snapshot.directory import AgentDirectory
from tests.worlds.proof import FixedRegistry, agent, new_key

KEY = new_key(1)


def found(*agents: object) -> tuple[str | None, str | None, str | None]:
    directory = AgentDirectory(FixedRegistry(*agents).current)  # made by `agent` below
    by_key = directory.by_key.get(KEY.public.thumbprint)
    by_uid, by_certificate = directory.by_uid.get(1000), directory.by_certificate.get("c")
    return (
        by_key[0].name if by_key else None,
        by_uid.name if by_uid else None,
        by_certificate.name if by_certificate else None,
    )


def test_each_proof_finds_its_agent() -> None:
    assert found(agent("a", KEY, uids=(1000,), certificates=("c",)), agent("b")) == ("a", "a", "a")
    assert found(agent("b")) == (None, None, None)


def test_what_two_or_three_active_agents_claim_belongs_to_none() -> None:
    claims = [agent(name, KEY, uids=(1000,), certificates=("c",)) for name in "abc"]
    assert found(*claims[:2]) == (None, None, None)
    assert found(*claims) == (None, None, None)


def test_an_agent_that_is_not_active_does_not_stand_in_the_way() -> None:
    active = agent("z", KEY, uids=(1000,))
    suspended = agent("a", KEY, uids=(1000,), certificates=("c",), status="suspended")
    assert found(suspended, active) == ("z", "z", "a")
    assert found(suspended, agent("b", KEY, status="retired")) == ("a", "a", "a")


def test_one_agent_may_list_a_proof_once_more() -> None:
    assert found(agent("a", KEY, KEY, uids=(1000, 1000))) == ("a", "a", None)
