"""Contract suite of the ManifestRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.registry.manifests.manifest import Manifest
from answerable.core.registry.manifests.manifest_token import SignedManifest, signed_manifest, stored_manifest
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises
from answerable.testing.samples import signing_key

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.manifest_register import ManifestRegister

SCOUT = AgentId("scout")
RACERS = 8


def sample_manifest(agent: str = "scout", *, model: str = "claude-sonnet-4-5") -> Manifest:
    """Return a manifest of an agent of the sample registry."""
    return Manifest(
        agent=AgentId(agent),
        model_name=model,
        model_version="20250929",
        prompt_digest=f"sha256:{'1' * 64}",
        tools_digest=f"sha256:{'2' * 64}",
        framework_name="langgraph",
        framework_version="1.0.3",
        code_digest=f"sha256:{'3' * 64}",
        environment="production",
        tier=2,
    )


def sample_signed(manifest: Manifest | None = None, *, owner: str = "alice", at: int = 0) -> SignedManifest:
    """Return a manifest signed with the owner's sample key. at: milliseconds after the start of the tests' clock."""
    token = signed_manifest(
        manifest or sample_manifest(),
        owner=PrincipalId(owner),
        key=signing_key(owner),
        at=UnixMillis(START + at),
    )
    return stored_manifest(token)


class ManifestRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> ManifestRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_what_was_put_is_in_force_as_it_was(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        signed = sample_signed()
        claim(register.current(SCOUT) is None, "an agent without a manifest has none")
        claim(list(register.history(SCOUT)) == [], "and no history")
        register.put(signed)
        claim(register.current(SCOUT) == signed, "a manifest is found whole, with its token")
        claim(list(register.history(SCOUT)) == [signed], "and is its whole history")

    def test_a_later_one_takes_its_place_and_the_earlier_stays_to_be_read(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second = sample_signed(), sample_signed(sample_manifest(model="gpt-5"), at=1)
        register.put(first)
        register.put(second)
        claim(register.current(SCOUT) == second, "the later one is in force")
        claim(list(register.history(SCOUT)) == [second, first], "newest first, none is lost")

    def test_whatever_comes_into_force_changes_the_number(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        numbers = [register.changes()]
        for signed in (sample_signed(), sample_signed(at=1), sample_signed(sample_manifest("rover"))):
            register.put(signed)
            numbers.append(register.changes())
        claim(len(set(numbers)) == len(numbers), "each is another number")
        register.put(sample_signed(at=1))
        claim(register.changes() == numbers[-1], "what is in force already changes nothing")

    def test_an_earlier_one_does_not_come_back(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        old, new = sample_signed(), sample_signed(sample_manifest(model="gpt-5"), at=1)
        register.put(new)
        with raises(Malformed, "manifest.older", "one that was signed earlier is refused"):
            register.put(old)
        same_time = sample_signed(sample_manifest(model="gpt-4"), at=1)
        with raises(Malformed, "manifest.older", "and one that was signed at the same time"):
            register.put(same_time)
        claim(register.current(SCOUT) == new, "the newer one stays in force")
        claim(list(register.history(SCOUT)) == [new], "what was refused leaves no trace")

    def test_the_same_token_again_changes_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.put(sample_signed())
        register.put(sample_signed())
        claim(len(register.history(SCOUT)) == 1, "there is still one")

    def test_each_agent_has_a_manifest_of_its_own(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.put(sample_signed(at=5))
        other = sample_signed(sample_manifest("rover"))
        register.put(other)
        claim(register.current(AgentId("rover")) == other, "each agent has its own")
        claim(register.current(SCOUT) == sample_signed(at=5), "whenever the other's was signed")

    def test_of_many_at_once_the_latest_is_in_force(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = threading.Barrier(RACERS)

        def put(at: int) -> None:
            signed = sample_signed(at=at)
            waiting.wait()
            try:
                register.put(signed)
            except Malformed as refused:
                claim(refused.code == "manifest.older", "a loser is told that it is older")

        threads = [threading.Thread(target=put, args=(at,)) for at in range(RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        claim(register.current(SCOUT) == sample_signed(at=RACERS - 1), "the latest signed one is in force")
        signed_at = [signed.signed_at for signed in register.history(SCOUT)]
        claim(signed_at == sorted(signed_at, reverse=True), "and never was an older one put after a newer")


class DurableManifestRegisterContract(ManifestRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_manifests_survive_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second = sample_signed(), sample_signed(sample_manifest(model="gpt-5"), at=1)
        register.put(first)
        register.put(second)
        again = self.opened(tmp_path)
        claim(again.current(SCOUT) == second, "the one in force is in force")
        claim(list(again.history(SCOUT)) == [second, first], "with all before it")
