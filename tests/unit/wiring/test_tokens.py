"""The token service's keys, name and register, as they are put together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from anyio import move_on_after

from answerable.adapters.local_keys import open_or_create_key
from answerable.adapters.sqlite import SqliteTokenRegister
from answerable.adapters.system import SystemEntropy
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.mandate.status_list import TTL_SECONDS_MAX
from answerable.errors import Unavailable
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.token_desk import TokenState
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.contracts.token_register import sample_tree
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from answerable.wiring import tokens as wired
from answerable.wiring.assemble import assembled
from answerable.wiring.settings import load_settings
from answerable.wiring.token_settings import TokenSettings, token_faults
from answerable.wiring.tokens import (
    KEPT_MILLIS,
    forgetting_tokens,
    issuer_of,
    status_list_of,
    status_lists_of,
)
from tests.worlds.parts import to_apply

if TYPE_CHECKING:
    from answerable.flows.state.known_callers import KnownCallers
    from answerable.ports.token_register import TokenRegister

pytestmark = pytest.mark.anyio


class FullOnce:
    """A register that cannot be written once."""

    def __init__(self, register):
        self._register, self.asked = register, 0

    def prune(self, **wanted):
        self.asked += 1
        if self.asked == 1:
            raise Unavailable("the disk is full", code="register.unavailable", port="register")
        return self._register.prune(**wanted)


def desk_over(register, bench: Bench) -> TokenState:
    return TokenState(
        recorder=bench.walk.recorder,
        authority=bench.walk.authority,
        verification=bench.walk.verification,
        counters=bench.walk.counters,
        live=bench.walk.live,
        tokens=cast("TokenRegister", register),
        known=cast("KnownCallers", None),
        keys=(signing_key("service"),),
        issuer=lambda: "https://tokens.example",
    )


async def test_tokens_that_ran_out_long_ago_are_forgotten_once_there_is_room():
    bench, register = Bench(), fresh(SqliteTokenRegister, entropy=SeededEntropy("tokens"))
    tree = sample_tree(register)
    bench.clock.advance(seconds=KEPT_MILLIS // 1000 + 3_600)
    full = FullOnce(register)
    with move_on_after(0.2):
        await forgetting_tokens(desk_over(full, bench), seconds=0.01)
    assert full.asked > 2
    assert not any(register.find(jti) for jti in tree)
    assert UnixMillis(0) < min(one.expires_at for one in tree.values())


async def test_however_many_tokens_ran_out_all_are_forgotten_in_one_round_revoked_or_not(monkeypatch):
    monkeypatch.setattr(wired, "FORGOTTEN_MAX", 2)
    bench, register = Bench(), fresh(SqliteTokenRegister, entropy=SeededEntropy("tokens"))
    tree = sample_tree(register)
    register.end([RevocationTarget("token", "left")])
    bench.clock.advance(seconds=KEPT_MILLIS // 1000 + 3_600)
    with move_on_after(0.5):
        await forgetting_tokens(desk_over(register, bench), seconds=3_600)
    assert not any(register.find(jti) for jti in tree)


def test_a_token_is_kept_for_as_long_as_any_list_that_somebody_may_have_of_it_is_good():
    assert KEPT_MILLIS >= TTL_SECONDS_MAX * 1000


def test_lists_that_are_not_there_yet_are_none():
    register = fresh(SqliteTokenRegister, entropy=SeededEntropy("tokens"))
    desk = desk_over(register, Bench())
    assert (status_lists_of(desk), status_list_of(desk, 1)) == ((), None)
    register.take_places(1)
    assert status_lists_of(desk) == (1,)
    assert status_list_of(desk, 1) is not None
    assert status_list_of(desk, 2) is None


async def test_the_newest_key_signs_and_older_ones_are_still_believed(tmp_path):
    settings = load_settings(tmp_path)
    async with assembled(settings) as product:
        await apply_registry(*to_apply(product.walk), bench_documents(), by="operator")
        first = product.tokens.keys[0].public
    folder = tmp_path / "keys" / "tokens"
    second = open_or_create_key(folder / "2.key", entropy=SystemEntropy()).public
    (folder / "notes.txt").write_text("no key")
    async with assembled(settings) as product:
        keys = product.tokens.keys
        assert [key.public.thumbprint for key in keys] == [second.thumbprint, first.thumbprint]
        assert product.tokens.public_keys("https://elsewhere.example") == ()


def test_the_service_is_called_as_the_settings_say_or_by_where_it_listens(tmp_path):
    settings = load_settings(tmp_path)
    assert issuer_of(settings, ("127.0.0.1", 99)) == "http://127.0.0.1:99"
    assert issuer_of(settings, ("::1", 99)) == "http://[::1]:99"
    assert issuer_of(settings, None).startswith("http://127.0.0.1:")
    named = replace(settings, tokens=TokenSettings(issuer="https://gateway.example"))
    assert issuer_of(named, ("127.0.0.1", 99)) == "https://gateway.example"


@pytest.mark.parametrize(
    ("issuer", "good"),
    [
        ("", True),
        ("https://gateway.example:8765", True),
        ("http://127.0.0.1:8765", True),
        ("http://gateway.example", False),
        ("https://gateway.example/", False),
        ("https://Gateway.example", False),
        ("https://user@gateway.example", False),
        ("https://gateway.example?x=1", False),
        ("https://gateway.example:x", False),
        ("ftp://gateway.example", False),
        ("https://" + "a" * 200, False),
    ],
)
def test_a_name_that_tokens_could_not_carry_is_a_fault_of_the_settings(issuer, good):
    assert (not [*token_faults(TokenSettings(issuer=issuer))]) is good
