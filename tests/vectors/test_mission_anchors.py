"""The two anchors that draft-mcguinness-oauth-mission publishes in its appendix, and those of our own mandates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.caveat import EnvironmentIs
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.mandate import Grant
from answerable.core.mandate.mission import (
    AUTHORITY_SET,
    INTENT,
    anchor,
    authority_hash,
    authority_set_of,
    intent_hash,
    intent_of,
    terms_nonce,
)
from answerable.core.mandate.token import verify_mandate
from answerable.testing.samples import AUDIENCE, mandate_terms, signing_key

ISSUER = "https://as.example.com"
GOAL = {
    "goal": "Reconcile Q3 invoices",
    "resources": ["https://erp.example.com"],
    "mission_expiry": "2026-12-31T23:59:59Z",
}
ENTRIES = [
    {
        "type": "mission_resource_access",
        "resource": "https://erp.example.com",
        "actions": ["invoices.read"],
    },
    {
        "type": "mission_resource_access",
        "resource": "https://erp.example.com",
        "actions": ["journal-entries.write"],
        "constraints": {"max_amount_usd": 500},
    },
]
RECORDED = Path(__file__).parent / "answerable" / "mandate-2026-11-24.jwt"


@pytest.mark.requirement("MISSION-01")
def test_the_published_anchors_are_reproduced():
    assert anchor(INTENT, issuer=ISSUER, value=GOAL) == (
        "sha-256:P38IRTmTaUESJ5RpCw1WXmIqfsQmYek7zxiQWERcq-E"
    )
    assert anchor(AUTHORITY_SET, issuer=ISSUER, value=ENTRIES) == (
        "sha-256:-rBZZJ8tVIyGoR1tBg6BO6QG0kimVvef8vjigpoVuPw"
    )


@pytest.mark.requirement("MISSION-01")
def test_the_order_of_entries_counts_and_the_type_and_the_issuer_separate():
    whole = anchor(AUTHORITY_SET, issuer=ISSUER, value=ENTRIES)
    assert anchor(AUTHORITY_SET, issuer=ISSUER, value=ENTRIES[::-1]) != whole
    assert anchor(INTENT, issuer=ISSUER, value=ENTRIES) != whole
    assert anchor(AUTHORITY_SET, issuer=ISSUER + "/", value=ENTRIES) != whole


@pytest.mark.requirement("MISSION-01")
def test_the_anchors_of_a_mandate_are_over_these_bytes():
    terms = mandate_terms()
    assert encode(intent_of(terms, audience=AUDIENCE)) == (
        b'{"context":{"use_case":"support"},"goal":"Answer case 4711","mission_expiry":"2026-11-18T12:06:40Z",'
        b'"resources":["answerable:answerable.test"]}'
    )
    assert encode(authority_set_of(terms, audience=AUDIENCE)) == (
        b'[{"bounds":{"calls_max":3,"expires_at_ms":1795003600000,"not_before_ms":1795000000000,"sub":"scout"},'
        b'"capability":"crm.read","caveats":[[1,["4711"]]],"type":"answerable_grant"}]'
    )


CHANGES = {
    "purpose": ({"purpose": "Something else"}, "intent"),
    "use case": ({"use_case": "sales"}, "intent"),
    "agent": ({"agent": AgentId("rover")}, "authority"),
    "grants": ({"grants": (Grant(capability="crm.read"),)}, "authority"),
    "caveats": ({"caveats": (EnvironmentIs(environment="staging"),)}, "authority"),
    "calls": ({"calls_max": 4}, "authority"),
    "start": ({"not_before": UnixMillis(mandate_terms().not_before + 1)}, "authority"),
    "end": ({"expires_at": UnixMillis(mandate_terms().expires_at + 1)}, "intent authority"),
    "delegation": (
        {"delegability": Delegability(depth_max=1, width_max=1, to=("agent:rover",))},
        "authority",
    ),
    "principal": ({"principal": PrincipalId("bob")}, ""),
    "application": ({"application": "portal"}, ""),
}


@pytest.mark.requirement("MISSION-01", "MISSION-06")
@pytest.mark.parametrize("name", CHANGES)
def test_each_part_of_a_mandate_is_in_the_anchor_it_belongs_to_and_all_in_the_nonce(name: str):
    changed, told = CHANGES[name]
    before, after = mandate_terms(), replace(mandate_terms(), **changed)
    moved = [
        word
        for word, digest in (("intent", intent_hash), ("authority", authority_hash))
        if digest(before, audience=AUDIENCE) != digest(after, audience=AUDIENCE)
    ]
    assert " ".join(moved) == told
    assert terms_nonce(before, audience=AUDIENCE) != terms_nonce(after, audience=AUDIENCE)


@pytest.mark.requirement("MISSION-06")
def test_the_nonce_is_the_same_before_and_after_the_token_it_is_for_is_there():
    terms = replace(mandate_terms(), application="portal")
    assert terms_nonce(terms, audience=AUDIENCE) == terms_nonce(
        replace(terms, id_token="a.b.c"), audience=AUDIENCE
    )


@pytest.mark.requirement("MISSION-08")
def test_a_mandate_of_the_first_day_verifies_and_says_what_it_said():
    token = RECORDED.read_text().strip()
    mandate = verify_mandate(token, keys_of=lambda name: (signing_key(name).public,), audience=AUDIENCE)
    assert {name: getattr(mandate, name) for name in ("id", "agent", "grants", "caveats", "calls_max")} == {
        name: getattr(mandate_terms(), name) for name in ("id", "agent", "grants", "caveats", "calls_max")
    }
    assert mandate.delegability.to == ()
    assert mandate.application == mandate.id_token == ""
