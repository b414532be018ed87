"""The row of a mandate is edited in the registers, and the note that triggers made of it is cleared: its signed token
decides."""

from __future__ import annotations

import json
import sqlite3
from base64 import urlsafe_b64decode
from collections.abc import Callable
from contextlib import closing

import pytest

from answerable.adapters.sqlite import SqliteMandateRegister, SqliteProjections, SqliteStore
from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.token import MANDATE_TYP, claims_of, is_of_token
from answerable.errors import Refused
from answerable.flows.recovery.project_ledger import catch_up
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import AUDIENCE, mandate_terms, signing_key
from tests.worlds.projection import Life, life

__all__ = ["life"]
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PROJECT-37")]

EDITS: dict[str, object] = {
    "calls_max": 9_999,
    "budgets": {"money:EUR": 1_000_000},
    "expires_at_ms": 9_999,
    "sub": "rover",
    "iss": "bob",
    "grants": [["crm.refund", []]],
    "purpose": "anything",
    "use_case": "other",
    "delegation": {"depth_max": 3, "width_max": 3, "to": ["agent:rover"]},
}


def in_payload(token: str, change: Callable[[dict[str, object]], object]) -> str:
    """The token, its header and signature left as they are, with other claims."""
    header, payload, signature = token.split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=="))
    change(claims)
    return f"{header}.{to_base64url(encode(claims))}.{signature}"


def edit(life: Life, claim: str, value: object, *, token: bool = False) -> None:
    """Write the row of `m-1` as another program does, without a trace in `touched`."""
    with closing(sqlite3.connect(life.root / "live.db")) as other:
        query = "SELECT claims, token FROM mandates WHERE id = 'm-1'"
        claims, signed = other.execute(query).fetchone()
        change = {claim: claims_value(claims, claim, value)}
        row = encode(json.loads(claims) | change)
        if token:
            signed = in_payload(signed, lambda held: held.update(change))
        other.execute("UPDATE mandates SET claims = ?, token = ? WHERE id = 'm-1'", (row, signed))
        other.execute("UPDATE touched SET by_others = 0")
        other.commit()


def claims_value(claims: bytes, claim: str, value: object) -> object:
    """A later end that is still within what a mandate may last."""
    return json.loads(claims)[claim] + value if claim == "expires_at_ms" else value


def started(life: Life) -> SqliteMandateRegister:
    """The mandates as the next start reads them."""
    live, find = life.root / "live.db", life.bench.recorder.subject_keys.find
    done = catch_up(SqliteProjections(life.store, live), [life.log], find)
    assert (done.mended, done.recalled) == ([], []), "the note was cleared: the ledger is not asked"
    return SqliteMandateRegister(SqliteStore.open(live))


async def lived_with(life: Life) -> None:
    await life.bench.registered()
    await life.bench.issue()
    await life.bench.issue("m-2")
    started(life)


@pytest.mark.parametrize("claim", EDITS)
async def test_a_mandate_has_no_claims_but_those_of_its_token_and_its_neighbour_acts(life: Life, claim: str):
    await lived_with(life)
    edit(life, claim, EDITS[claim])
    register = started(life)
    found = [(one.what, one.name) for one in register._store.unreadable.all()]
    assert found == [("mandate", "m-1")]
    assert register.find(MandateId("m-1")) is None
    assert register.state(MandateId("m-1")) == "closed"
    assert register.find(MandateId("m-2")) == life.bench.authority.mandates.find(MandateId("m-2"))


async def test_a_token_that_was_edited_with_its_row_is_refused_when_it_is_used(life: Life):
    await lived_with(life)
    edit(life, "calls_max", 9_999, token=True)
    register = started(life)
    edited = register.find(MandateId("m-1"))
    assert edited is not None
    assert edited.calls_max == 9_999, "row and token agree: only the signature tells"
    running = life.bench.authority.mandates
    assert isinstance(running, SqliteMandateRegister)
    running._mandates = register._mandates
    with pytest.raises(Refused) as refused:
        await life.bench.act()
    assert refused.value.code == "mandate.issuer_key"
    assert (await life.bench.act(mandate="m-2")).outcome.status == "succeeded"


def test_a_token_written_in_another_order_is_compared_by_what_it_says():
    terms = mandate_terms()
    row = encode(claims_of(terms, audience=""))
    token = signed_mandate(terms, audience=AUDIENCE, key=signing_key("alice"))
    assert is_of_token(row, token)
    header, _, signature = token.split(".")
    claims = dict(reversed(claims_of(terms, audience=AUDIENCE).items()))
    for written in (json.dumps(claims), json.dumps(claims, indent=1)):
        assert is_of_token(row, f"{header}.{to_base64url(written.encode())}.{signature}")
    assert not is_of_token(row, in_payload(token, lambda held: held.update(calls_max=4)))
    assert MANDATE_TYP in urlsafe_b64decode(header + "==").decode()
