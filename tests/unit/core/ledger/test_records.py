"""What each kind of entry says, at its largest, and what it never says."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.core.action.outcome import Outcome
from answerable.core.action.request import VerifiedRequest, action_request
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.approval.approval import Answer, Approval, ApprovalId
from answerable.core.canonical import INTEGER_MAX, encode_ledger, parse
from answerable.core.decision.decision import Decision, Reason
from answerable.core.decision.facts import Requirement
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis, checked_name
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.ledger import records, records_actions, records_approvals, records_statements
from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.entry import LEAF_BYTES_MAX, Entry, Receipt
from answerable.core.ledger.leaves import HOP_ID_CHARS_MAX, HOPS_MAX, HopLeaf, Reference
from answerable.core.ledger.runs import Run
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.budget import Reserved
from answerable.core.mandate.mandate import END_OF_TIME, Grant, Mandate, MandateId
from answerable.core.mandate.token import checked_id
from answerable.core.registry.documents.capability import GOVERNED_METHODS, Capability, ResourceMapping
from answerable.core.registry.documents.documents import DELEGATION_DEPTH_MAX
from answerable.core.registry.policy_sets.policy_record import Proposal
from answerable.core.registry.snapshot.resolve import Resolved
from answerable.errors import Malformed
from answerable.flows.recovery.settle_open_intents import AGENTS_PER_ENTRY_MAX
from answerable.testing.entropy import SeededEntropy
from tests.worlds.instance import LARGEST_IDENTITY
from tests.worlds.walk import sealed_in

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

pytestmark = pytest.mark.requirement("SEAL-01")

KEY = SubjectKey(id=b"k" * 16, secret=bytes(range(32)))
SEALING = Sealing(key=KEY, random=SeededEntropy("records").bytes)
NAME = "n" * 63
AT = UnixMillis(END_OF_TIME)
PSEUDONYM = "0" * 64
ABOUT = {"at": AT, "sealing": SEALING, "principal": PSEUDONYM, "audience": "a.test"}
POLICIES = "1" * 64
CHANGED = {"at": AT, "sealing": SEALING, "by": "the operator", "pseudonym": PSEUDONYM}
CHANGED |= {"before": POLICIES, "after": POLICIES}
PROPOSAL = Proposal(
    id="6" * 32, by="the author", key="7" * 43, at=AT, before=POLICIES, after=POLICIES, comment="", token="the step",
    attached="{}", documents={},
)  # fmt: skip
PUBLISHED = {"how": "two_people", "author": PSEUDONYM, "proposal": "6" * 32, "step": "the step"}
PUBLISHING = {"policies": "the policies", "documents": POLICIES, "declared": {}, "schema_digest": "0" * 64}
PUBLISHING["published"] = records_statements.Published(**PUBLISHED)
PROPOSING = {"sealing": SEALING, "author": PSEUDONYM, "changes": b"{}", "attached": b"{}"}
RUN = Run(id="2" * 16, prev="3" * 64, seq=INTEGER_MAX)
REFERENCE = Reference(entry=INTEGER_MAX, leaf="4" * 64)
INTENT = Receipt(index=INTEGER_MAX, leaf_hash=bytes(32))
TOKEN = SeededEntropy("token").token()
POLICY_IDS = tuple(f"{'p' * 125}{number:03d}" for number in range(100))
CALLER = VerifiedCaller(
    agent=AgentId(NAME),
    proof="session_mac",
    binding=f"{'b' * 128},connection={INTEGER_MAX}",
    sequence=INTEGER_MAX,
    message_digest=sha256(b"message").digest(),
    at=AT,
    identity=LARGEST_IDENTITY,
)
BUDGETS = ("bytes", "calls", "money:EUR", "rows", "tokens", "wall_ms")
MANDATE = Mandate(
    id=MandateId("m" * 64),
    principal=PrincipalId("alice-" + "a" * 57),
    agent=AgentId(NAME),
    use_case=NAME,
    purpose="the purpose " + "é" * 488,
    grants=(Grant(capability=NAME),),
    caveats=(),
    calls_max=INTEGER_MAX,
    budgets=tuple((name, INTEGER_MAX) for name in BUDGETS if name != "calls"),
    not_before=UnixMillis(END_OF_TIME - 1),
    expires_at=UnixMillis(END_OF_TIME),
    token="the.mandate.token",
)
REQUEST = action_request(
    server=NAME,
    method=max(GOVERNED_METHODS, key=len),
    target="the target " + "t" * 500,
    arguments={"secret": "the argument"},
    mandate_id=MANDATE.id,
    reason="the reason " + "r" * 489,
    message_digest=CALLER.message_digest,
)
RESERVED = Reserved(
    accounts=(MANDATE.id, *(f"hop:{number:064d}" for number in range(2 * HOPS_MAX - 1))),
    amounts=dict.fromkeys(BUDGETS, INTEGER_MAX),
)
VERIFIED = VerifiedRequest(
    request=REQUEST,
    caller=CALLER,
    resolved=Resolved(
        capability=Capability(
            name=NAME,
            server=NAME,
            method=REQUEST.method,
            target=REQUEST.target,
            kind="execute",
            environment=NAME,
            tier=3,
            sensitivity="restricted",
            resource=ResourceMapping(type="Case", fixed="x"),
        )
    ),
    mandate=MANDATE,
    principals=(MANDATE.principal,),
    arguments=REQUEST.arguments,
    resource_id="x",
    subject="Customer:4711",
    definition=ToolDefinition(text=b"{}", digest="5" * 64, violations=lambda _: ()),
)
DECISION = Decision(
    effect="defer",
    reasons=(Reason(source="p", text="the decision's reason"),),
    determined_by=POLICY_IDS,
    lifted=POLICY_IDS,
    policy_set=POLICIES,
)
APPROVAL = Approval(
    id=ApprovalId(TOKEN),
    agent=AgentId(NAME),
    mandate=MANDATE.id,
    principal=MANDATE.principal,
    capability=NAME,
    action=REQUEST.action,
    requirements=tuple(Requirement(group=f"{'g' * 60}{number:03d}", count=9) for number in range(40)),
    reasons=("the decision's reason",) * 100,
    created_at=AT,
    expires_at=AT,
)
ANSWER = Answer(
    by=PrincipalId("bob-" + "b" * 59),
    groups=(),
    verdict="approve",
    comment="the comment " + "c" * 988,
    at=AT,
    token="the.answer.token",
)


HOPS = [HopLeaf(agent="a" * 63, entry=INTEGER_MAX, id="i" * HOP_ID_CHARS_MAX, leaf="f" * 64)] * HOPS_MAX


def intent(decision: Decision = DECISION) -> Entry:
    return records_actions.intent(
        VERIFIED,
        structs.replace(decision, effect="allow"),
        at=AT,
        sealing=SEALING,
        run=RUN,
        principal=PSEUDONYM,
        mandate_ref=REFERENCE,
        policy_ref=REFERENCE,
        tool_ref=REFERENCE,
        action_id="6" * 32,
        idempotency_key="6" * 32,
        lease_name="l" * 64,
        deadline=AT,
        call=INTEGER_MAX,
        reserved=RESERVED,
        approval_id=TOKEN,
        hops=HOPS,
    )[0]


def outcome(status: str = "not_started", *, run: Run | None = RUN) -> Entry:
    return records_actions.outcome(
        Outcome(status=status, detail="the detail " + "\U0001f512" * 600),
        at=AT,
        sealing=SEALING,
        run=run,
        action_id="6" * 32,
        intent=INTENT,
        result=b'"the result"',
        result_digest="7" * 64,
    )


def refusal(request: object = REQUEST, *, mandate: Mandate | None = MANDATE, capability: str = NAME) -> Entry:
    return records.refusal(
        request,
        CALLER,
        at=AT,
        sealing=SEALING,
        run=RUN if mandate is not None else None,
        mandate=mandate,
        action_id=TOKEN,
        code=POLICY_IDS[0],
        reasons=DECISION.reasons * 100,
        determined_by=POLICY_IDS,
        policy_set=POLICIES,
        capability=capability,
    )


LARGEST = {
    Tag.INTENT: intent,
    Tag.OUTCOME: outcome,
    Tag.INDETERMINATE: lambda: outcome("indeterminate"),
    Tag.REFUSAL: refusal,
    Tag.REFUSALS_COUNTED: lambda: records.refusals_counted(
        at=AT,
        by_agent={f"{'n' * 60}{number:03d}": INTEGER_MAX for number in range(AGENTS_PER_ENTRY_MAX)},
    ),
    Tag.APPROVAL_ASKED: lambda: records.approval_asked(
        VERIFIED, DECISION, APPROVAL, at=AT, sealing=SEALING, run=RUN, principal=PSEUDONYM
    ),
    Tag.APPROVAL_ANSWER: lambda: records_approvals.approval_answer(
        APPROVAL, ANSWER, at=AT, sealing=SEALING, run=RUN, person=PSEUDONYM, digest=PSEUDONYM
    , signer="k"),
    Tag.MANDATE_ISSUED: lambda: records.mandate_issued(MANDATE, **ABOUT),
    Tag.MANDATE_CLOSED: lambda: records.mandate_closed(MANDATE, at=AT, sealing=SEALING, by="x", pseudonym=PSEUDONYM),
    Tag.REGISTRY_CHANGE: lambda: records_statements.registry_change(**CHANGED, own=SEALING, changes=b"{}"),
    Tag.POLICY_CHANGE: lambda: records_statements.policy_change(**CHANGED, **PUBLISHING),
    Tag.POLICY_PROPOSED: lambda: records_statements.policy_proposed(PROPOSAL, **PROPOSING),
}  # fmt: skip
CITED = {
    "mandate": lambda: records_statements.cited_mandate(MANDATE, **ABOUT),
    "policy_set": lambda: records_statements.cited_text(
        "policy_set", POLICIES, b'"the policies"', at=AT, sealing=SEALING
    ),
    "tool": lambda: records_statements.cited_text(
        "tool", "5" * 64, b'{"the":"tool"}', at=AT, sealing=SEALING
    ),
}


def made(name: str) -> Entry:
    return CITED[name]() if name in CITED else LARGEST[Tag[name]]()


KINDS = [*(tag.name for tag in LARGEST), *CITED]


def leaf_of(entry: Entry) -> dict[str, JSONValue]:
    leaf = parse(entry.leaf)
    assert isinstance(leaf, dict)
    return leaf


def fields_of(entry: Entry) -> dict[str, bytes]:
    return {one.name: bytes(one.value) for one in sealed_in(entry, KEY)}


def test_the_names_used_here_are_as_long_as_names_may_be():
    assert checked_name(NAME, what="agent")
    assert checked_id(MANDATE.id)
    for longer in (lambda: checked_name(NAME + "n", what="agent"), lambda: checked_id(MANDATE.id + "m")):
        with pytest.raises(Malformed):
            longer()


def test_a_leaf_names_as_many_hops_as_a_mandate_may_be_handed_on():
    assert HOPS_MAX == DELEGATION_DEPTH_MAX + 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_leaf_of_each_kind_fits(kind: str):
    entry = made(kind)
    assert len(entry.leaf) <= LEAF_BYTES_MAX
    assert encode_ledger(parse(entry.leaf)) == entry.leaf
    leaf = leaf_of(entry)
    assert (leaf["v"], leaf["tag"], leaf["at"]) == (2, int(entry.tag), AT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_leaf_says_nothing_that_a_person_or_a_system_wrote(kind: str):
    leaf = made(kind).leaf
    for said in (b"the ", b"alice", b"bob", b"secret"):
        assert said not in leaf
    for digest in (REQUEST.action.digest, CALLER.message_digest):
        assert digest.hex().encode() not in leaf


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "REFUSALS_COUNTED"])
def test_each_kind_commits_to_all_its_fields_and_seals_them(kind: str):
    entry = made(kind)
    leaf = leaf_of(entry)
    fields = sealed_in(entry, KEY)
    assert leaf["_sd"] == sorted(one.digest for one in fields)
    assert leaf["payload"] == sha256(entry.attachment).hexdigest()
    assert len({one.name for one in fields}) == len(fields)


def test_counted_refusals_have_nothing_to_seal():
    entry = made("REFUSALS_COUNTED")
    assert entry.attachment == b""
    assert set(leaf_of(entry)) == {"v", "tag", "at", "agents", "strangers"}


def test_no_field_has_the_name_of_a_member_of_its_leaf():
    for kind in KINDS:
        if kind != "REFUSALS_COUNTED":
            assert not fields_of(made(kind)).keys() & leaf_of(made(kind)).keys(), kind


def test_what_the_fields_of_each_kind_are():
    names = {kind: sorted(fields_of(made(kind))) for kind in KINDS if kind != "REFUSALS_COUNTED"}
    claimed, named = ("message", "reason", "request"), ("principal_name", "purpose")
    assert names == {
        "INTENT": ["message", "principal_name", "purpose", "reason", "request"],
        "OUTCOME": ["detail", "result", "result_digest"],
        "INDETERMINATE": ["detail", "result", "result_digest"],
        "REFUSAL": ["message", "reason", "reasons", "request"],
        "APPROVAL_ASKED": sorted(("card", "object", *claimed, *named, "reasons", "under")),
        "APPROVAL_ANSWER": ["comment", "groups", "person_name", "signer", "token"],
        "MANDATE_ISSUED": ["authority_hash", "intent_hash", "principal_name", "purpose", "token"],
        "MANDATE_CLOSED": ["by_name"],
        "REGISTRY_CHANGE": ["by_name", "changes"],
        "POLICY_CHANGE": ["by_name", "declared", "policies", "schema_digest", "step"],
        "POLICY_PROPOSED": ["attached", "author_name", "changes", "step"],
        "mandate": ["authority_hash", "intent_hash", "principal_name", "purpose", "token"],
        "policy_set": ["text"],
        "tool": ["text"],
    }


def test_an_action_is_sealed_byte_for_byte_and_named_in_the_leaf_by_its_pseudonym():
    for kind in ("INTENT", "APPROVAL_ASKED", "REFUSAL"):
        entry = made(kind)
        assert fields_of(entry)["request"] == REQUEST.action.bytes
        assert fields_of(entry)["message"] == b'"%b"' % CALLER.message_digest.hex().encode()
        assert leaf_of(entry)["digest"] == KEY.pseudonym(b"action", REQUEST.action.digest)
        assert records.action_pseudonym(REQUEST, SEALING) == leaf_of(entry)["digest"]


def test_an_outcome_without_result_or_of_an_intent_of_another_opening_says_so_by_silence():
    bare = records_actions.outcome(
        Outcome(status="succeeded"),
        at=AT,
        sealing=SEALING,
        run=None,
        action_id="a",
        intent=INTENT,
        result=b"",
        result_digest="",
    )
    assert list(fields_of(bare)) == ["detail"]
    assert "run" not in leaf_of(bare)
    assert leaf_of(outcome())["run"] == {"id": RUN.id, "prev": RUN.prev, "seq": RUN.seq}
    assert leaf_of(outcome("indeterminate"))["tag"] == Tag.INDETERMINATE
    assert len(fields_of(outcome())["detail"]) < 4 * records_actions.DETAIL_CHARS_MAX + 3


def test_a_refusal_outside_any_mandate_or_capability_does_not_say_in_its_leaf_what_was_merely_claimed():
    leaf, fields = (
        leaf_of(refusal(mandate=None, capability="")),
        fields_of(refusal(mandate=None, capability="")),
    )
    assert (leaf["mandate"], leaf["server"], leaf["method"], leaf["capability"]) == ("", "", "", "")
    assert "run" not in leaf
    assert fields["mandate_named"] == b'"%b"' % MANDATE.id.encode()
    nameless = replace_request(mandate_id="")
    assert "mandate_named" not in fields_of(refusal(nameless, mandate=None))


def replace_request(**changes: str) -> object:
    return structs.replace(REQUEST, **changes)


def test_a_refused_action_that_is_too_long_is_kept_by_its_beginning_and_its_digest():
    long = action_request(
        server=NAME,
        method="tools/call",
        target="t",
        arguments={"text": "é" * records.REFUSED_ACTION_BYTES_MAX},
        mandate_id="",
        message_digest=CALLER.message_digest,
    )
    entry = refusal(long, mandate=None)
    fields = fields_of(entry)
    assert "request" not in fields
    assert fields["action_digest"] == b'"%b"' % long.action.hex.encode()
    assert len(fields["action_cut"]) < records.REFUSED_ACTION_BYTES_MAX * 2
    assert "reason" not in fields, "nothing was claimed"
    assert len(entry.attachment) < 3 * records.REFUSED_ACTION_BYTES_MAX
    assert long.action.hex.encode() not in entry.leaf


def test_an_approval_answer_names_person_and_action_by_pseudonyms_only():
    leaf = leaf_of(made("APPROVAL_ANSWER"))
    assert (leaf["person"], leaf["digest"]) == (PSEUDONYM, PSEUDONYM)
    waiting = replace(APPROVAL, state="pending")
    assert waiting.subject == "", "approvals of version 1 are about their principal"
