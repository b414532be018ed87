"""Which manifest of an agent stands, asked with every message."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqliteManifestRegister, SqliteRegistryStore
from answerable.core.identity.names.principal import AgentId
from answerable.core.registry.parsing.active import stored_form
from answerable.testing.contracts.manifest_register import sample_manifest, sample_signed
from answerable.testing.registers import fresh
from answerable.testing.samples import registry_documents
from answerable.wiring.identity import StandingDigests

SCOUT = AgentId("scout")


@pytest.mark.requirement("MANIFEST-01")
def test_a_manifest_stands_each_time_it_is_asked_for_until_registry_or_manifest_change() -> None:
    registry, manifests = fresh(SqliteRegistryStore), fresh(SqliteManifestRegister)
    documents = registry_documents()
    registry.put(stored_form(documents))
    digests = StandingDigests(registry, manifests)
    assert [digests(SCOUT), digests(SCOUT)] == ["", ""]
    signed, another = sample_signed(), sample_signed(sample_manifest(model="another"), at=1)
    manifests.put(signed)
    assert [digests(SCOUT), digests(SCOUT)] == [signed.digest] * 2
    manifests.put(another)
    assert [digests(SCOUT), digests(SCOUT)] == [another.digest] * 2
    for one in documents:
        if one["kind"] == "Agent":
            one["spec"]["status"] = "suspended"
    registry.put(stored_form(documents))
    assert [digests(SCOUT), digests(SCOUT)] == ["", ""]
