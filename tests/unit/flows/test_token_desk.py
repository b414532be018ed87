"""Places in status lists, which a desk takes ahead and gives once each."""

from __future__ import annotations

from answerable.adapters.sqlite import SqliteTokenRegister
from answerable.flows.state.known_callers import KnownCallers
from answerable.flows.state.token_desk import PLACES_AHEAD, TokenState
from answerable.testing.builders import Bench
from answerable.testing.delegation import ISSUER, SERVICE
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh


class CountedRegister(SqliteTokenRegister):
    """Counts how often places were taken, each of which is a write."""

    taken = 0

    def take_places(self, count: int):
        self.taken += 1
        return super().take_places(count)


def desk(register: SqliteTokenRegister) -> TokenState:
    walk = Bench().walk
    return TokenState(
        recorder=walk.recorder,
        authority=walk.authority,
        verification=walk.verification,
        counters=walk.counters,
        live=walk.live,
        tokens=register,
        known=KnownCallers(registry=walk.authority.registry),
        keys=(SERVICE,),
        issuer=lambda: ISSUER,
    )


def test_a_place_is_given_once_whichever_desk_gives_it_and_many_are_taken_with_one_write():
    register = fresh(CountedRegister, entropy=SeededEntropy("places"))
    one, other = desk(register), desk(register)
    given = [each.place() for _ in range(PLACES_AHEAD) for each in (one, other)]
    assert len(set(given)) == 2 * PLACES_AHEAD
    assert register.taken == 2
    assert one.place() not in given
    assert register.taken == 3
