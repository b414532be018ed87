"""A mandate as the ledger says that it stands, where whoever gave it is in no document."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.ledger.projected import Told, World
from answerable.core.ledger.projected_mandates import mandate_after
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.errors import Unverified
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import AUDIENCE, signing_key


def issued(name: str) -> Told:
    """An entry of a mandate that alice gave, in a world without alice."""
    terms = MandateTerms(
        id=MandateId(name), principal=PrincipalId("alice"), agent=AgentId("scout"), use_case="support",
        purpose="Try it out", grants=(Grant(capability="crm.read"),), caveats=(), calls_max=1,
        not_before=UnixMillis(0), expires_at=UnixMillis(1000),
    )  # fmt: skip
    token = signed_mandate(terms, audience=AUDIENCE, key=signing_key("alice"))
    return Told(
        log=AUDIENCE,
        index=7,
        leaf_hash="0" * 64,
        tag=Tag.MANDATE_ISSUED,
        leaf={"mandate": name},
        fields={"token": token},
        world=World({}, {}),
    )


def test_the_task_of_a_drill_is_known_and_over():
    row = mandate_after(None, issued("drill-worker-7f05ed5c"))
    assert row is not None
    assert row.closed
    assert row.mandate is not None
    assert row.mandate.id == "drill-worker-7f05ed5c"


def test_any_other_that_nobody_in_a_document_gave_is_not_taken():
    with pytest.raises(Unverified):
        mandate_after(None, issued("m-1"))
