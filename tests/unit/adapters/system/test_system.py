"""Time and chance, of the machine and of the test bench."""

from __future__ import annotations

import re
import time

import pytest

from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.ports.clock import Clock
from answerable.ports.entropy import Entropy
from answerable.testing.clock import START, ManualClock
from answerable.testing.entropy import SeededEntropy

TOKEN = re.compile(r"[0-9abcdefghjkmnpqrstvwxyz]{26}")


def test_the_system_clock_keeps_the_promises_of_the_port() -> None:
    clock: Clock = SystemClock()
    before = time.time_ns() // 1_000_000
    assert before <= clock.now() <= time.time_ns() // 1_000_000
    readings = [clock.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)


@pytest.mark.parametrize("entropy", [SystemEntropy(), SeededEntropy(), SeededEntropy("x")])
def test_tokens_are_26_characters_and_bytes_as_many_as_asked(entropy: Entropy) -> None:
    tokens = [entropy.token() for _ in range(1000)]
    assert all(TOKEN.fullmatch(token) for token in tokens)
    assert len(set(tokens)) == 1000
    assert [len(entropy.bytes(count)) for count in (0, 1, 32, 100)] == [0, 1, 32, 100]
    # Every character place but the first, which has three bits, takes all 32 letters.
    assert all(len({token[place] for token in tokens}) == 32 for place in range(1, 26))


def test_seeded_chance_comes_out_the_same_every_time() -> None:
    assert SeededEntropy(3).bytes(50) == SeededEntropy(3).bytes(50)
    assert SeededEntropy(3).token() == SeededEntropy("3").token() != SeededEntropy(4).token()


def test_a_manual_clock_moves_only_when_told() -> None:
    clock: Clock = ManualClock()
    assert (clock.now(), clock.monotonic()) == (START, 1000.0)
    assert isinstance(clock, ManualClock)
    clock.advance(1.5)
    clock.jump(-3600)
    assert (clock.now(), clock.monotonic()) == (START + 1500 - 3_600_000, 1001.5)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
