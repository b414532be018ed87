"""What people never signed and somebody wrote into the log gives nothing at the next start, and is named."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import AgentId, PrincipalId
from answerable.core.ledger.records_identity import manifest_registered
from answerable.core.ledger.records_statements import policy_proposed
from answerable.core.ledger.records_tools import tool_approved
from answerable.core.registry.manifests.manifest import Manifest
from answerable.core.registry.manifests.manifest_token import (
    SignedManifest,
    signed_manifest,
    verified_manifest,
)
from answerable.core.registry.policy_sets.policy_record import Proposal
from answerable.core.registry.policy_sets.publication import proposal_id
from answerable.core.registry.tools.tool_approval import signed_approval
from answerable.core.registry.tools.tool_pin import ToolPin
from answerable.testing.samples import signing_key
from tests.worlds.projection import Life, appended, life
from tests.worlds.publication import STOP, house, propose

__all__ = ["life"]
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PROJECT-12")]

PERSON = "0" * 64
FORGED = ["signed with another key", "signature of something else", "no signature"]


def forged(case: str, sign: Any, honest: str) -> str:
    """A token as somebody may make it who has nobody's key."""
    if case == "signed with another key":
        return str(sign(signing_key("mallory")))
    if case == "signature of something else":
        head, body, _ = str(sign(signing_key("mallory"))).split(".")
        return ".".join((head, body, honest.rpartition(".")[2]))
    return ".".join((*str(sign(signing_key("mallory"))).split(".")[:2], ""))


async def left_out(life: Life, query: str) -> tuple[list[tuple[str, str]], list[Any]]:
    """What a start names that knows nothing yet, and what its registers have."""
    store, done = life.caught_up(None)
    with closing(store):
        return [(one.register, one.row) for one in done.left_out], list(store.rows(query))


@pytest.mark.parametrize("case", FORGED)
async def test_a_manifest_that_its_owner_did_not_sign_is_not_in_force(life: Life, case: str):
    walk = life.bench.walk
    await life.bench.registered()
    now = walk.clock.now()

    def manifest(prompt: bytes) -> Manifest:
        digest = f"sha256:{sha256(prompt).hexdigest()}"
        return Manifest(agent=AgentId("scout"), prompt_digest=digest, environment="production", tier=1)

    def signed(prompt: bytes, key: Any) -> str:
        return signed_manifest(manifest(prompt), owner=PrincipalId("alice"), key=key, at=now)

    honest = verified_manifest(
        signed(b"be kind", signing_key("alice")), current=walk.authority.registry.current
    )
    token = forged(case, lambda key: signed(b"pay me", key), honest.token)
    other: SignedManifest = replace(honest, manifest=manifest(b"pay me"), token=token)
    await appended(
        life,
        lambda sealing: manifest_registered(
            other, at=now, sealing=sealing, signer=PERSON, by="operator", person=PERSON
        ),
    )
    named, rows = await left_out(life, "SELECT agent FROM manifests")
    assert (named, rows) == ([("manifests", "scout")], [])


@pytest.mark.parametrize("case", FORGED)
async def test_a_definition_of_a_tool_that_its_owner_did_not_sign_is_not_in_force(life: Life, case: str):
    walk = life.bench.walk
    await life.bench.registered()
    now, text = walk.clock.now(), encode({"name": "refund", "description": "sends all of it to mallory"})
    definition = sha256(text).hexdigest()

    def signed(key: Any) -> str:
        return signed_approval(
            "crm",
            "refund",
            definition=definition,
            previous="",
            owner=PrincipalId("alice"),
            key=key,
            at=now,
        )

    token = forged(case, signed, signed(signing_key("alice")))
    pin = ToolPin(
        server="crm",
        tool="refund",
        definition=definition,
        text=text,
        at=now,
        signed_by="alice",
        key=signing_key("alice").public.thumbprint,
        token=token,
    )
    await appended(
        life,
        lambda sealing: tool_approved(
            pin, at=now, previous="", sealing=sealing, signer=PERSON, by="operator", person=PERSON
        ),
    )
    named, rows = await left_out(life, "SELECT tool FROM tool_pins")
    assert (named, rows) == ([("tool_pins", "crm/refund")], [])


@pytest.mark.parametrize("case", FORGED)
async def test_a_proposal_that_nobody_signed_does_not_wait_for_its_second_person(life: Life, case: str):
    bench, walk = life.bench, life.bench.walk
    await bench.registered()
    life.copied("before any proposal")
    walk.policies.publishers = "approvers"
    honest = await propose(bench)
    head, body, signature = honest.token.split(".")
    signatures = {
        FORGED[0]: signed_manifest(
            Manifest(agent=AgentId("scout"), prompt_digest="", environment="production", tier=1),
            owner=PrincipalId("alice"),
            key=signing_key("mallory"),
            at=walk.clock.now(),
        ).rpartition(".")[2],
        FORGED[1]: signature[:-8] + ("A" * 8 if signature[-8:] != "A" * 8 else "B" * 8),
        FORGED[2]: "",
    }
    token = ".".join((head, body, signatures[case]))
    other: Proposal = type(honest)(
        **{name: getattr(honest, name) for name in honest.__struct_fields__}
        | {"token": token, "id": proposal_id(token)}
    )
    await appended(
        life,
        lambda sealing: policy_proposed(
            other,
            sealing=sealing,
            author=PERSON,
            changes=encode({"PolicySet/house": house(STOP)}),
            attached=b'""',
        ),
    )
    named, rows = await left_out(life, "SELECT id FROM policy_records WHERE kind = 'proposal'")
    assert named == [("policies", "proposal")]
    assert rows == [(honest.id,)], "what was signed waits as before"
