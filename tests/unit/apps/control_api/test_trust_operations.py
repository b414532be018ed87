"""What the control API tells of the domains that ours is federated with: as the OpenAPI document says."""

from __future__ import annotations

import pytest

from answerable.adapters.bundle_files.source import FileBundle
from answerable.apps.control_api.application import control_app
from answerable.core.identity.svid.federation import federation_source
from answerable.flows.workloads.follow_bundles import BundleFollowing
from tests.unit.apps.control_api.test_control_api import client_of
from tests.worlds.control import memory_product

pytestmark = pytest.mark.anyio


async def test_a_federated_domain_is_told_with_how_its_source_is() -> None:
    product = memory_product()
    desk, walk = product.identity.desk, product.walk
    product.identity.federation = BundleFollowing(
        endpoints=[FileBundle(source=federation_source("partner.example file /nowhere/bundle.json"))],
        bundle=desk.bundle,
        put=desk.set_federated,
        drop=desk.drop_federated,
        clock=walk.clock,
        entropy=walk.entropy,
    )
    async with client_of(control_app(product)) as client:
        told = await client("show_trust_domain")
    assert told["federated"] == [
        {
            "trust_domain": "partner.example",
            "profile": "file",
            "address": "/nowhere/bundle.json",
            "state": "waiting",
            "sequence": None,
            "fault": "",
        }
    ]
