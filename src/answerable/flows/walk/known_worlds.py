"""Cache the world: all authority in force in this process, by epoch.

Laws: the epoch is read before the parts, so that a change meanwhile belongs to another epoch. Parts with an identity or
a number of their own are compared at every read, so that nobody has to report their change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import ref

from answerable.ports.worlds import ANYTHING, ChangeScope, RegistryInForce, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.containment.hold import HoldTarget
    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.steps import Deciding
    from answerable.flows.state.worlds import Verification
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.worlds import Epoch

_ANYTHING: Final = frozenset({ANYTHING})


class KnownWorlds:
    """Implements ports.worlds.Worlds over the epochs of the registers and the parts of one process."""

    def __init__(
        self,
        recorder: Recorder,
        authority: AuthorityRegisters,
        deciding: Deciding,
        verification: Verification,
    ) -> None:
        self._epochs = epochs = verification.epochs
        self._recorder, self._authority = recorder, authority
        self._decided_by, self._counters = deciding.policies, deciding.counters
        # A weak reference avoids a cycle: files are closed as soon as the parts are dropped, not at some later time.
        self._ref = ref(verification)
        self._registry: RegistrySnapshot | None = None
        self._policies: DecisionPoint | None = None
        self._generation = -1
        self._bundles: Mapping[TrustDomain, TrustBundle] | None = None
        self._late = False
        self._world: World | None = None
        self.changed: Final = epochs.changed
        self.change: Final = epochs.change

    def epoch(self) -> Epoch:
        verification = self._ref()
        assert verification is not None  # noqa: S101 - whoever asks has it
        trust = verification.trust
        if (
            self._authority.registry.current is not self._registry
            or self._decided_by.decision_point is not self._policies
            or verification.upstream.generation != self._generation
            or (self._recorder.unwitnessed() is not None) is not self._late
            or (trust is not None and trust.bundles() is not self._bundles)
        ):
            self._compare(verification)
        return self._epochs.epoch()

    def reread(self) -> Epoch:
        self.epoch()
        return self._epochs.reread()

    def current(self) -> World:
        epoch = self.epoch()
        if self._world is None or self._world.epoch != epoch:
            self._world = self._made(epoch)
        return self._world

    def anew(self) -> World:
        self._world = self._made(self.epoch())
        return self._world

    def _compare(self, verification: Verification) -> None:
        """Note the current parts before reporting the change: a later change is then another one."""
        self._registry, self._policies = self._authority.registry.current, self._decided_by.decision_point
        self._generation = verification.upstream.generation
        self._late = self._recorder.unwitnessed() is not None
        self._bundles = verification.trust.bundles() if verification.trust is not None else None
        self.change(_ANYTHING)

    def _made(self, epoch: Epoch) -> World:
        verification, authority = self._ref(), self._authority
        assert verification is not None  # noqa: S101 - as above
        trust = verification.trust
        return World(
            epoch=epoch,
            registry=RegistryInForce(current=authority.registry.current, index=authority.registry.index),
            decision_point=self._decided_by.decision_point,
            upstream=verification.upstream,
            pins=verification.pins,
            manifests=authority.manifests,
            mandates=authority.mandates,
            revocations=authority.revocations,
            holds=authority.holds,
            quota=self._counters.quota,
            stands=verification.stands,
            trusted=frozenset(map(str, trust.bundles())) if trust is not None else frozenset(),
            late=self._recorder.unwitnessed(),
            fits=verification.fits,
            tools_seen=verification.tools_seen,
        )


def scope_of(what: HoldTarget) -> frozenset[ChangeScope]:
    """Return the scope of a change that no register records: everything within reach of this name."""
    return frozenset({ChangeScope(f"{what.kind}/{what.name}")})
