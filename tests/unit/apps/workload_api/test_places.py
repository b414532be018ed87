"""How many may be connected."""

from __future__ import annotations

from answerable.apps.workload_api import ConnectionLimits, PeerProcess
from answerable.apps.workload_api.places import Places


def peer(pid: int, uid: int, started: int = 1) -> PeerProcess:
    return PeerProcess(pid=pid, uid=uid, gid=0, started=started, pidfd=-1)


def test_a_process_a_user_and_all_have_their_places_and_give_them_back():
    limits = ConnectionLimits(connections_max=6, connections_per_user_max=4, connections_per_process_max=2)
    places = Places(limits)
    assert [places.take(peer(1, 100)) for _ in range(3)] == [True, True, False]
    assert [places.take(peer(2, 100)) for _ in range(3)] == [True, True, False]
    # The user has no more, whichever process it is; another has, until all are taken.
    assert not places.take(peer(3, 100))
    assert [places.take(peer(4, 200)) for _ in range(2)] == [True, True]
    assert not places.take(peer(5, 300))
    assert places.taken == 6
    places.leave(peer(1, 100))
    assert places.take(peer(5, 300))
    for process in (peer(1, 100), peer(2, 100), peer(2, 100), peer(4, 200), peer(4, 200), peer(5, 300)):
        places.leave(process)
    assert places.taken == 0
    assert not places._users
    assert not places._processes


def test_a_pid_given_again_is_another_process():
    places = Places(ConnectionLimits(connections_per_process_max=1))
    assert places.take(peer(1, 100, started=1))
    assert places.take(peer(1, 100, started=2))
