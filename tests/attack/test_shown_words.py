"""What a stranger finds in people's words, years later: those that were signed, or a fault."""

from __future__ import annotations

import json

import pytest

from answerable.core.approval.token import APPROVAL_TYP, answer_claims
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.core.statement import claims_in
from answerable.testing.builders import Bench
from answerable.testing.samples import AUDIENCE, signing_key
from answerable.testing.soft_passkey import SoftPasskey
from tests.attack.test_check_answers import found
from tests.attack.test_passkey_answers import answered
from tests.worlds.passkey import enrolled, passkey_bench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("REPLY-01")]
HOW = pytest.mark.parametrize("how", ["key", "passkey"])
SAID: dict[str, str] = {"reason": "narrower", "comment": "half", "narrower": '{"amount":5500}'}


async def denied(how: str) -> Bench:
    """A refund to which somebody said no, and what would do instead."""
    bench = await passkey_bench()
    await bench.issue()
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    if how == "passkey":
        await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
        await answered(bench, asked, device, verdict="deny", said=SAID)
    else:
        await bench.answer(asked, verdict="deny", **SAID)
    return bench


@HOW
async def test_words_that_are_those_that_were_signed_are_found_so(how):
    assert found(await denied(how)) == ([], 0)


@HOW
@pytest.mark.parametrize(
    ("field", "value"),
    [("comment", "all of it"), ("denial", "suspicious"), ("narrower", {"amount": 5999}), ("narrower", {})],
)
async def test_other_words_than_were_signed_are_found(how, field, value):
    bench = await denied(how)
    assert found(bench, {(Tag.APPROVAL_ANSWER, field): value}) == (["approval.words"], 0)
    assert found(bench, {(Tag.APPROVAL_ANSWER, field): None}) == ([], 0), "what is hidden is not compared"


async def test_evidence_whose_reason_is_another_one_afterwards_is_found():
    bench = await denied("passkey")
    (approval,) = bench.authority.approvals.all(pending_only=False, now=bench.clock.now())
    members = json.loads(approval.answers[0].token)
    for change in ({"reason": "not_now"}, {"comment": "all"}, {"narrower": ""}, {"v": 1}):
        rules, _ = found(bench, {(Tag.APPROVAL_ANSWER, "token"): json.dumps({**members, **change})})
        assert rules == ["approval.signed"], change


async def test_an_old_answer_by_key_file_checks_with_its_comment_and_without_a_reason():
    bench = await Bench().registered()
    await bench.issue()
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    after = await bench.answer(asked, comment="ok")
    claims = answer_claims(
        asked, nonce=bytes(32), by=PrincipalId("bob"), verdict="approve", comment="ok", audience=AUDIENCE,
        at=after.answers[0].at,
    )  # fmt: skip
    old = {name: value for name, value in claims_in(claims).items() if name not in ("reason", "narrower")}
    token = signed_statement(old, typ=APPROVAL_TYP, key=signing_key("bob"))
    assert found(bench, {(Tag.APPROVAL_ANSWER, "token"): token}) == ([], 0)
    changed = {(Tag.APPROVAL_ANSWER, "token"): token, (Tag.APPROVAL_ANSWER, "comment"): "never"}
    assert found(bench, changed) == (["approval.words"], 0)
