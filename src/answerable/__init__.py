"""Answerable: what was the machine allowed to do, at that moment, and who answers for it.

    import answerable

    report = answerable.verify_ledger(Path("copy"))

Each public name is loaded when it is first used, so that verifying a ledger does not import the HTTP client. All names
work with the packages that `pip install answerable` installs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.evidence.bundle import Bundle
    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.policy import Policy, parse_policy
    from answerable.errors import AnswerableError, Broken, Malformed, Refused, Unavailable, Unverified
    from answerable.sdk.client_identity import NamedClient, PrivateKeyClient, SpiffeClient
    from answerable.sdk.delegation import Narrowing, Receiver, exchange_part, token_for, token_to_act
    from answerable.sdk.denial import Denial, DeniedByPeople, denial_in, raise_if_denied
    from answerable.sdk.enrolment import Enrolled, EnrolmentClient
    from answerable.sdk.gateway_address import open_client
    from answerable.sdk.keyfile import create_key, load_key, public_jwk
    from answerable.sdk.oauth_http import OAuthHttp, open_oauth_client
    from answerable.sdk.proof_auth import SessionAuth, SignatureAuth
    from answerable.sdk.resource_tokens import ResourceTokens
    from answerable.sdk.token_auth import DPoPAuth
    from answerable.sdk.token_client import AccessToken, TokenClient, TokenExchange
    from answerable.sdk.workflow import WorkflowDoor
    from answerable.verify.bundle_replay import replay_bundle
    from answerable.verify.check_answers import ShownAnswers
    from answerable.verify.check_tokens_shown import ShownTokens
    from answerable.verify.evidence_bundle import verify_evidence
    from answerable.verify.evidence_report import EvidenceReport
    from answerable.verify.ledger_history import verify_ledger
    from answerable.verify.ledger_set import is_ledger_set, verify_ledger_set
    from answerable.verify.replayed import Replayed
    from answerable.verify.report import Caveat, Finding, LedgerReport
    from answerable.verify.set_report import LedgerSetReport

__version__ = "0.1.0"

_PLACES: Final = {
    "AccessToken": "answerable.sdk.token_client",
    "AnswerableError": "answerable.errors",
    "Broken": "answerable.errors",
    "Bundle": "answerable.core.evidence.bundle",
    "Caveat": "answerable.verify.report",
    "DPoPAuth": "answerable.sdk.token_auth",
    "Denial": "answerable.sdk.denial",
    "DeniedByPeople": "answerable.sdk.denial",
    "Enrolled": "answerable.sdk.enrolment",
    "EnrolmentClient": "answerable.sdk.enrolment",
    "EvidenceReport": "answerable.verify.evidence_report",
    "Finding": "answerable.verify.report",
    "LedgerReport": "answerable.verify.report",
    "LedgerSetReport": "answerable.verify.set_report",
    "Malformed": "answerable.errors",
    "NamedClient": "answerable.sdk.client_identity",
    "Narrowing": "answerable.sdk.delegation",
    "OAuthHttp": "answerable.sdk.oauth_http",
    "Policy": "answerable.core.tlog.policy",
    "PrivateKeyClient": "answerable.sdk.client_identity",
    "Receiver": "answerable.sdk.delegation",
    "Refused": "answerable.errors",
    "Replayed": "answerable.verify.replayed",
    "ResourceTokens": "answerable.sdk.resource_tokens",
    "SessionAuth": "answerable.sdk.proof_auth",
    "ShownAnswers": "answerable.verify.check_answers",
    "ShownTokens": "answerable.verify.check_tokens_shown",
    "SignatureAuth": "answerable.sdk.proof_auth",
    "SpiffeClient": "answerable.sdk.client_identity",
    "TokenClient": "answerable.sdk.token_client",
    "TokenExchange": "answerable.sdk.token_client",
    "Unavailable": "answerable.errors",
    "Unverified": "answerable.errors",
    "VerifierKey": "answerable.core.tlog.note",
    "WorkflowDoor": "answerable.sdk.workflow",
    "create_key": "answerable.sdk.keyfile",
    "denial_in": "answerable.sdk.denial",
    "exchange_part": "answerable.sdk.delegation",
    "is_ledger_set": "answerable.verify.ledger_set",
    "load_key": "answerable.sdk.keyfile",
    "open_client": "answerable.sdk.gateway_address",
    "open_oauth_client": "answerable.sdk.oauth_http",
    "parse_policy": "answerable.core.tlog.policy",
    "public_jwk": "answerable.sdk.keyfile",
    "raise_if_denied": "answerable.sdk.denial",
    "replay_bundle": "answerable.verify.bundle_replay",
    "token_for": "answerable.sdk.delegation",
    "token_to_act": "answerable.sdk.delegation",
    "verify_evidence": "answerable.verify.evidence_bundle",
    "verify_ledger": "answerable.verify.ledger_history",
    "verify_ledger_set": "answerable.verify.ledger_set",
}

__all__ = [
    "AccessToken",
    "AnswerableError",
    "Broken",
    "Bundle",
    "Caveat",
    "DPoPAuth",
    "Denial",
    "DeniedByPeople",
    "Enrolled",
    "EnrolmentClient",
    "EvidenceReport",
    "Finding",
    "LedgerReport",
    "LedgerSetReport",
    "Malformed",
    "NamedClient",
    "Narrowing",
    "OAuthHttp",
    "Policy",
    "PrivateKeyClient",
    "Receiver",
    "Refused",
    "Replayed",
    "ResourceTokens",
    "SessionAuth",
    "ShownAnswers",
    "ShownTokens",
    "SignatureAuth",
    "SpiffeClient",
    "TokenClient",
    "TokenExchange",
    "Unavailable",
    "Unverified",
    "VerifierKey",
    "WorkflowDoor",
    "__version__",
    "create_key",
    "denial_in",
    "exchange_part",
    "is_ledger_set",
    "load_key",
    "open_client",
    "open_oauth_client",
    "parse_policy",
    "public_jwk",
    "raise_if_denied",
    "replay_bundle",
    "token_for",
    "token_to_act",
    "verify_evidence",
    "verify_ledger",
    "verify_ledger_set",
]


if not TYPE_CHECKING:
    # Hidden from type checkers, which read the imports above and so report every other name.
    def __getattr__(name: str) -> object:
        """Load a public name. Raises AttributeError."""
        place = _PLACES.get(name)
        if place is None:
            raise AttributeError(f"answerable has no `{name}`")
        return getattr(import_module(place), name)


def __dir__() -> list[str]:
    """Return the public names and the attributes that every module has."""
    return sorted({*globals(), *__all__})
