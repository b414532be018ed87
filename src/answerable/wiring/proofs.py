"""Verify DPoP-bound tokens: the replay store of their holders' proofs, and the verifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from answerable.adapters.replay_table import SharedReplayStore
from answerable.flows.tokens.verify_dpop import DpopVerifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.flows.tokens.verify_caller import CallerVerifier
    from answerable.flows.tokens.verify_dpop import BoundToken, DpopLimits
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.replay_store import ReplayStore
    from answerable.wiring.setting_tree import Settings

FILE: Final = "proofs.table"

Token = TypeVar("Token")


def opened_replay_store(settings: Settings, entropy: Entropy, clock: Clock) -> SharedReplayStore:
    """Open the replay store beside the registers, so that all processes on one data directory share it.

    Raises Unavailable (`replay.unavailable`).
    """
    path = settings.registers.database.with_name(FILE)
    return SharedReplayStore.open(path, entropy=entropy, at=clock.monotonic())


def token_holders(
    verifier: CallerVerifier,
    *,
    store: ReplayStore,
    limits: DpopLimits,
    token_of: Callable[[str], BoundToken[Token]],
    clock: Clock,
    entropy: Entropy,
) -> DpopVerifier[Token]:
    """Return the verifier of `Authorization: DPoP`. A message may be covered by a signature that `verifier` knows,
    instead of by a claim of the proof."""

    return DpopVerifier(
        clock=clock,
        entropy=entropy,
        store=store,
        limits=limits,
        token_of=token_of,
        signed_by=verifier.head_of,
    )
