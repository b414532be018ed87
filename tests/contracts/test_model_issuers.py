"""What every credential issuer promises, by leases of a model provider, on the metered stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from answerable.testing.contracts.credential_issuer import CredentialIssuerContract
from tests.stand_ins.model_provider_stand_in import deputy_validity
from tests.worlds.model_provider import KEY, ModelBench, target_on

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("MODELLEASE-01")]


class TestModelProvider(CredentialIssuerContract):
    @pytest.fixture
    def bench(self) -> Iterator[ModelBench]:
        with deputy_validity(KEY) as provider:
            yield ModelBench(target_on(provider))
