"""Contract suite of the JoinTokens port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.workload.join_token import join_token, join_token_text
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.identity.workload.join_token import JoinToken
    from answerable.ports.join_tokens import JoinTokens

RACERS = 64
TOKENS_MAX = 20
"""Limit of the register in these tests."""


def sample(number: int = 0, *, now: int = START, seconds: int = 600) -> JoinToken:
    """Return a sample token."""
    text = join_token_text(number.to_bytes(32, "big"))
    agent = AgentId("biller")
    extra = ("join_token:name:batch",)
    return join_token(text, name=f"t{number}", agent=agent, extra=extra, now=UnixMillis(now), seconds=seconds)


class JoinTokensContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> JoinTokens:
        """Open a register of at most TOKENS_MAX tokens, stored, if at all, in that directory; opening again is a
        restart."""
        raise NotImplementedError

    def test_a_token_is_used_once_and_says_what_it_grants(self, tmp_path: Path) -> None:
        tokens = self.opened(tmp_path)
        token = sample()
        tokens.add(token)
        used = tokens.consume(token.digest, now=START)
        claim(used is not None and used.used_at == START, "the first use is granted, and dated")
        claim(used is not None and used.selectors == token.selectors, "it grants what it was made for")
        claim(used is not None and used.agent == token.agent, "to the agent it was made for")
        claim(tokens.consume(token.digest, now=START) is None, "the second use is not")

    def test_an_unknown_token_grants_nothing(self, tmp_path: Path) -> None:
        tokens = self.opened(tmp_path)
        tokens.add(sample(1))
        for digest in (sample(2).digest, b"", sample(1).digest[:-1], sample(1).digest + b"\0"):
            claim(tokens.consume(digest, now=START) is None, "no such token")
        claim(tokens.consume(sample(1).digest, now=START) is not None, "the other one is still good")

    def test_a_token_is_good_from_when_it_was_made_until_its_end(self, tmp_path: Path) -> None:
        tokens = self.opened(tmp_path)
        for number, at in enumerate((START - 1, START + 600_000, START + 999_999_999)):
            tokens.add(sample(number))
            claim(
                tokens.consume(sample(number).digest, now=UnixMillis(at)) is None, "outside its time: nothing"
            )
        claim(
            tokens.consume(sample(0).digest, now=UnixMillis(START + 599_999)) is not None,
            "a try before its time uses nothing up",
        )
        for number in (1, 2):
            late = tokens.consume(sample(number).digest, now=UnixMillis(START + 1))
            claim(late is None, "shown too late, it is used up: a clock that is set back makes nothing good")

    def test_a_token_is_added_once_also_after_its_use(self, tmp_path: Path) -> None:
        tokens = self.opened(tmp_path)
        tokens.add(sample())
        with raises(Malformed, "join_token.duplicate", "the same token is there"):
            tokens.add(sample())
        tokens.consume(sample().digest, now=START)
        with raises(Malformed, "join_token.duplicate", "a used one cannot be had anew"):
            tokens.add(sample())
        claim(tokens.consume(sample().digest, now=START) is None, "it stays used")

    def test_all_are_listed_newest_first(self, tmp_path: Path) -> None:
        tokens = self.opened(tmp_path)
        for number in range(3):
            tokens.add(sample(number))
        tokens.consume(sample(1).digest, now=START)
        found = list(tokens.all())
        claim([one.name for one in found] == ["t2", "t1", "t0"], "newest first")
        claim([one.used_at for one in found] == [None, START, None], "with their use")
        claim(found[0] == sample(2), "whole")

    def test_the_number_kept_is_bounded_until_old_ones_are_forgotten(self, tmp_path: Path) -> None:
        tokens = self.opened(tmp_path)
        for number in range(TOKENS_MAX):
            tokens.add(sample(number, seconds=60 + number))
        with raises(Malformed, "join_token.full", "one too many"):
            tokens.add(sample(TOKENS_MAX))
        claim(tokens.forget(before=UnixMillis(START + 62_000)) == 2, "those that ended before are dropped")
        tokens.add(sample(TOKENS_MAX))
        claim(len(list(tokens.all())) == TOKENS_MAX - 1, "the others are there")

    def test_of_64_racing_threads_one_uses_it(self, tmp_path: Path) -> None:
        tokens = self.opened(tmp_path)
        tokens.add(sample())
        won: list[JoinToken] = []
        barrier = threading.Barrier(RACERS)

        def race() -> None:
            barrier.wait()
            used = tokens.consume(sample().digest, now=START)
            if used is not None:
                won.append(used)

        racers = [threading.Thread(target=race) for _ in range(RACERS)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        claim(len(won) == 1, "exactly one")


class DurableJoinTokensContract(JoinTokensContract):
    """Contract cases for registers that promise stable storage on return."""

    def test_what_was_added_and_used_is_so_after_a_restart(self, tmp_path: Path) -> None:
        tokens = self.opened(tmp_path)
        tokens.add(sample(0))
        tokens.add(sample(1))
        tokens.consume(sample(0).digest, now=START)
        again = self.opened(tmp_path)
        claim(again.consume(sample(0).digest, now=START) is None, "a used one stays used")
        claim(again.consume(sample(1).digest, now=START) is not None, "an unused one is good")
        claim(
            tokens.consume(sample(1).digest, now=START) is None,
            "what one process used the other sees at once",
        )
