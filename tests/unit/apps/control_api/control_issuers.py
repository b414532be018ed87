"""What schedulers and applications ask of the control API."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from answerable.core.mandate.mission import terms_nonce
from answerable.core.mandate.token import terms_of
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import document, signing_key


def issuing_documents() -> list[Any]:
    """An application, and a schedule that is always due."""
    ownership = {
        "owner": "ada",
        "backupOwner": "bela",
        "approverGroup": "support-leads",
        "auditLevel": "full",
        "reviewDate": "2099-01-01",
    }
    rule = {"everyMinutes": 10, "withinMinutes": 10, "until": "2099-01-01"}
    keys = {name: [json.loads(signing_key(name).public.jwk)] for name in ("portal", "daily")}
    return [
        document(
            "Application", "portal", {"useCases": ["support"], "keys": keys["portal"], "ownership": ownership}
        ),
        document(
            "Schedule",
            "daily",
            {
                "template": "one-case",
                "values": {"case": "4712"},
                "rule": rule,
                "keys": keys["daily"],
                "ownership": ownership,
            },
        ),
    ]


async def use_issuers(client: Callable[..., Awaitable[Any]]) -> None:
    """What schedulers and applications ask for."""
    await client("apply_documents", {"documents": issuing_documents()})
    draft = await client("draft_scheduled", {}, name="daily")
    token = signed_mandate(terms_of(draft["claims"]), audience=draft["audience"], key=signing_key("daily"))
    mandate = await client("issue_mandate", {"token": token})
    assert (mandate["principal"], mandate["owner"]) == ("schedule:daily", "ada")
    assert {name: mandate[name] for name in ("intent_hash", "authority_hash")} == {
        name: draft[name] for name in ("intent_hash", "authority_hash")
    }
    wanted = {"principal": "ada", "parameters": {"case": "4711"}, "application": "portal"}
    draft = await client("draft_mandate", wanted, name="one-case")
    terms = terms_of(draft["claims"])
    assert (terms.application, terms.id_token) == ("portal", "")
    assert draft["nonce"] == terms_nonce(terms, audience=draft["audience"])
    assert draft["beside"]["capabilities"] == sorted(draft["beside"]["capabilities"])
    refused = await client("draft_mandate", {**wanted, "application": "nobody"}, status=403, name="one-case")
    assert refused["code"] == "mandate.application"
    assert (await client("draft_scheduled", {}, status=403, name="nightly"))["code"] == "mandate.schedule"
