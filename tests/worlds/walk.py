"""What tests of the walk share: trouble at one call, statements cited beforehand, entries as they were sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.ledger import records_actions
from answerable.core.ledger.disclosure import opened_fields
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.subject_key import key_id_of, sections_of
from answerable.flows.entries.cite_statement import cite_statements
from answerable.flows.recording.record_entry import sealing_of_entry
from answerable.flows.walk.verify_request import verify_request
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.fault_injection import Trouble
from tests.worlds.parts import to_plan

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.answer import Answer
    from answerable.core.ledger.disclosure import Disclosure
    from answerable.core.ledger.entry import Entry, StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.core.ledger.tags import Tag
    from answerable.testing.fault_injection import Fault

ARGUMENTS: dict[str, JSONValue] = {
    "get_case": {"case": "4711"},
    "refund": {"case": "4711", "amount": 100},
}
SUBJECTS = (
    "principal:alice", "principal:bob", "Customer:4711", "Customer:4712", "agent:scout", "operator:operator",
)  # fmt: skip


def striking(method: str, fault: Fault, *, at: int = 0) -> Trouble:
    """Trouble that strikes one call of one method, counted from 0 among calls of that method."""
    seen = 0

    def plan(_number: int, called: str) -> Fault | None:
        nonlocal seen
        seen += called == method
        return fault if called == method and seen == at + 1 else None

    return Trouble(plan)


async def cited(bench: Bench, *targets: str, mandate: str = "m-1", agent: str = "scout") -> None:
    """Have the log hold what intents refer to, so that the next entry of an allowed action is its intent."""
    for target in targets or ("get_case",):
        action, caller = bench.request(target, ARGUMENTS[target], mandate=mandate, agent=agent)
        verified = verify_request(*to_plan(bench.walk), action, caller)
        await cite_statements(
            bench.recorder,
            bench.authority,
            bench.counters,
            bench.walk.policies,
            verified,
            bench.walk.policies.decision_point.policy_set,
        )


def ended_again(bench: Bench, answer: Answer) -> None:
    """Put the end of an action into the log once more, as the product never does."""
    assert answer.intent is not None
    assert answer.outcome is not None
    entry = records_actions.outcome(
        answer.outcome,
        at=bench.clock.now(),
        sealing=sealing_of_entry(bench.recorder, answer.intent.index),
        run=None,
        action_id=answer.action_id,
        intent=answer.intent,
        result=b"",
        result_digest="",
    )
    bench.recorder.ledger.submit(entry)


def stored_of(bench: Bench, *tags: Tag) -> list[StoredEntry]:
    """The entries of these types, as the log has them."""
    return [stored for stored in bench.recorder.ledger.replay() if stored.tag in tags]


def fields_of(bench: Bench, *tags: Tag) -> list[dict[str, JSONValue]]:
    """The opened fields of the entries of these types, in order."""
    return [bench.opened(stored.index)[1] for stored in stored_of(bench, *tags)]


def sealed_in(entry: Entry, key: SubjectKey) -> list[Disclosure]:
    """The fields of an entry all of whose parts are sealed for one subject."""
    return [one for section in sections_of(entry.attachment) for one in opened_fields(section, key)]


def sealed_values(bench: Bench, stored: StoredEntry) -> dict[str, bytes]:
    """The fields of an entry, byte for byte as they were sealed."""
    fields = disclosures_of(stored, bench.recorder.subject_keys.find)
    assert fields is not None
    return {one.name: bytes(one.value) for one in fields}


def about_customers(*, argument: str = "case", policies: str = POLICIES) -> list[JSONValue]:
    """The bench's documents, with refunds about the customer that an argument names."""
    documents = bench_documents(policies)
    for one in documents:
        match one:
            case {"kind": "Capability", "metadata": {"name": "crm.refund"}, "spec": dict(spec)}:
                spec["subject"] = {"type": "Customer", "argument": argument}
    return documents


async def customers_bench(documents: list[JSONValue] | None = None) -> Bench:
    """A bench with one mandate and these documents, or those about customers."""
    bench = await Bench().registered(documents or about_customers())
    await bench.issue()
    return bench


def subject_of(bench: Bench, stored: StoredEntry, *others: str) -> str:
    """Which of SUBJECTS, or of others, an entry is sealed for, or the first part of it."""
    keys, sealed_for = bench.recorder.subject_keys, key_id_of(sections_of(stored.attachment)[0])
    (found,) = (name for name in (*SUBJECTS, *others) if keys.of(name).id == sealed_for)
    return found
