"""Codes of a kind of token that is no kind of the product."""

from __future__ import annotations

from answerable.core.identity.keys.compact_jws import TokenCodes
from answerable.errors import MalformedCode, UnverifiedCode


def unverified_code(step: str, fault: str) -> UnverifiedCode:
    return UnverifiedCode(f"{step}.{fault}", "…", step=step)


def token_codes(step: str) -> TokenCodes:
    return TokenCodes(
        malformed=MalformedCode(f"{step}.malformed", "…"),
        type=unverified_code(step, "type"),
        algorithm=unverified_code(step, "algorithm"),
        key=unverified_code(step, "key"),
        signature=unverified_code(step, "signature"),
    )
