"""Contract suite of the RegistryStore port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.registry.parsing.active import snapshot_of, stored_form
from answerable.core.registry.parsing.in_force import in_force
from answerable.errors import Malformed
from answerable.testing.contracts.claims import claim, raises
from answerable.testing.samples import registry_documents

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.registry_store import RegistryStore


class RegistryStoreContract:
    """Contract cases for any store. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> RegistryStore:
        """Open a store that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_a_new_store_is_empty(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        claim(store.documents() == {}, "no documents")
        claim(store.current == snapshot_of([]), "an empty snapshot")
        claim(store.index.resolve("crm", "tools/call", "get_case") is None, "an index of nothing")

    def test_snapshot_and_index_are_those_of_the_documents(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        store.put(stored_form(registry_documents()))
        claim(store.documents() == stored_form(registry_documents()), "documents come back byte for byte")
        claim(store.current == snapshot_of(registry_documents()), "the snapshot of what was put")
        resolved = store.index.resolve("crm", "tools/call", "get_case")
        claim(
            resolved is not None and resolved.capability is store.current.capabilities["crm.read"],
            "the index belongs to the snapshot",
        )

    def test_what_was_built_of_other_documents_is_not_put_into_force(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        documents = stored_form(registry_documents())
        store.put(documents, in_force({}))
        claim(store.current == snapshot_of(registry_documents()), "the snapshot of what was put")
        store.put({}, made := in_force({}))
        claim(store.current is made.snapshot, "what was built of these documents is in force as it is")

    def test_what_is_not_put_again_is_gone(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        store.put(stored_form(registry_documents()))
        kept = {key: body for key, body in store.documents().items() if key != "Agent/scout"}
        store.put(kept)
        claim(store.documents() == kept, "the whole set is replaced")
        claim(not store.current.agents, "the agent is gone")
        claim(not store.current.templates, "and with it the template that names it")

    def test_documents_at_fault_are_refused_and_change_nothing(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        store.put(stored_form(registry_documents()))
        before = store.current
        broken = {
            **store.documents(),
            "Agent/scout": store.documents()["Agent/scout"].replace(b"scout", b"scoop"),
        }
        with raises(Malformed, "registry.key", "a document under another's name is refused"):
            store.put(broken)
        faulty = store.documents()
        faulty["UseCase/support"] = faulty["UseCase/support"].replace(b'"purpose"', b'"porpoise"')
        with raises(Malformed, "registry.faults", "a document with an unknown key is refused"):
            store.put(faulty)
        claim(store.current is before, "the snapshot in force stays")
        claim(store.documents() == stored_form(registry_documents()), "and so do the documents")

    def test_holders_of_the_documents_cannot_change_the_store(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        mine = stored_form(registry_documents())
        store.put(mine)
        mine.clear()
        store.documents().clear()
        claim(store.documents() == stored_form(registry_documents()), "the store keeps its own")


class DurableRegistryStoreContract(RegistryStoreContract):
    """Contract cases for stores that persist their state."""

    def test_documents_and_snapshot_survive_a_restart(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path)
        store.put(stored_form(registry_documents()))
        again = self.opened(tmp_path)
        claim(again.documents() == store.documents(), "the same documents")
        claim(again.current == store.current, "the same snapshot, digest and all")
        claim(again.index.resolve("crm", "tools/call", "refund") is not None, "and an index over it")
