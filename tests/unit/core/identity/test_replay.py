"""The memory of nonces forgets only what can no longer pass."""

from __future__ import annotations

from answerable.core.identity.proof.replay import ConnectionSequences, ReplayMemory


def test_what_is_forgotten_leaves_a_floor_behind() -> None:
    memory = ReplayMemory(nonces_max=10, retention_seconds=121)
    assert memory.accept("a", created=100, at=0.0) == "new"
    assert memory.accept("a", created=100, at=121.0) == "seen"
    assert memory.accept("b", created=220, at=122.0) == "new"
    assert memory.accept("a", created=100, at=122.0) == "forgotten"
    assert memory.accept("c", created=99, at=122.0) == "forgotten"
    assert memory.accept("c", created=101, at=122.0) == "new"
    assert memory.accepted == 3


def test_a_second_is_kept_while_its_youngest_nonce_could_pass() -> None:
    memory = ReplayMemory(nonces_max=10, retention_seconds=121)
    assert memory.accept("a", created=100, at=0.0) == "new"
    assert memory.accept("b", created=100, at=100.0) == "new"
    assert memory.accept("c", created=230, at=130.0) == "new"
    assert memory.accept("a", created=100, at=130.0) == "seen"


def test_a_full_memory_tells_a_replay_from_a_newcomer_and_makes_room_in_time() -> None:
    memory = ReplayMemory(nonces_max=2, retention_seconds=121)
    assert memory.accept("a", created=100, at=0.0) == "new"
    assert memory.accept("b", created=101, at=1.0) == "new"
    assert memory.accept("b", created=101, at=2.0) == "seen"
    assert memory.accept("c", created=101, at=2.0) == "full"
    assert memory.accept("c", created=102, at=2.0) == "full"
    assert memory.accept("c", created=102, at=121.5) == "new"
    assert memory.accept("a", created=100, at=121.5) == "forgotten"
    assert memory.accept("d", created=101, at=125.0) == "forgotten"


def test_connections_are_remembered_by_last_use() -> None:
    connections = ConnectionSequences(connections_max=2)
    assert connections.accept(1, 1)
    assert connections.accept(2, 1)
    assert connections.accept(1, 2)
    assert connections.accept(3, 1)
    assert not connections.accept(2, 2)
    assert connections.accept(1, 3)
    assert not connections.accept(1, 3)
    assert connections.accept(4, 5)
    assert not connections.accept(3, 2)
