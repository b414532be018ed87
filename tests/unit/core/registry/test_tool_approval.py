"""An owner's signed yes to a definition of a tool."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.tools.tool_approval import TOOL_TYP, ToolClaims, verified_approval
from answerable.core.statement import claims_in
from answerable.errors import AnswerableError
from answerable.testing.builders import bench_documents
from answerable.testing.clock import START
from answerable.testing.samples import signing_key
from tests.worlds.tool import approval, described

pytestmark = pytest.mark.requirement("TOOL-03")

CURRENT = snapshot_of(bench_documents())
CLAIMS = claims_in(
    ToolClaims(iss="alice", iat_ms=START, server="crm", tool="get_case", definition="a" * 64, previous="")
)


def signed(claims: Any, *, typ: str = TOOL_TYP) -> str:
    return signed_statement(claims, typ=typ, key=signing_key("alice"))


def test_what_an_owner_or_backup_owner_signed_is_read_as_it_was_signed():
    for who in ("alice", "bob"):
        found = verified_approval(approval(described(), by=who), current=CURRENT)
        assert (found.server, found.tool, found.signed_by) == ("crm", "get_case", who)
        assert found.key == signing_key(who).public.thumbprint


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"more": 1}, "tool.malformed"),
        ({"server": None}, "tool.malformed"),
        ({"definition": "A" * 64}, "tool.malformed"),
        ({"definition": ""}, "tool.malformed"),
        ({"previous": "ab"}, "tool.malformed"),
        ({"iat_ms": -1}, "tool.malformed"),
        ({"iat_ms": True}, "tool.malformed"),
        ({"server": "Crm Two"}, "name.invalid"),
        ({"tool": "get\u200bcase"}, "name.invalid"),
        ({"tool": "refund_all"}, "tool.unregistered"),
        ({"server": "payments"}, "tool.unregistered"),
    ],
)
def test_a_claim_that_is_off_refuses(changes, code):
    with pytest.raises(AnswerableError) as raised:
        verified_approval(signed({**CLAIMS, **changes}), current=CURRENT)
    assert raised.value.code == code


def test_a_missing_claim_refuses():
    for name in CLAIMS:
        with pytest.raises(AnswerableError):
            verified_approval(signed({k: v for k, v in CLAIMS.items() if k != name}), current=CURRENT)


def test_a_statement_of_another_kind_is_no_approval():
    with pytest.raises(AnswerableError) as raised:
        verified_approval(signed(CLAIMS, typ="answerable-manifest+jwt"), current=CURRENT)
    assert raised.value.code == "tool.type"


def test_a_changed_signature_refuses():
    token = approval(described())
    with pytest.raises(AnswerableError):
        verified_approval(token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB"), current=CURRENT)
