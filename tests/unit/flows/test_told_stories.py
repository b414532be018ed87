"""Who, for whom, why, what, decided how, with what result: from any id of the story."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.core.action.outcome import Outcome
from answerable.core.canonical import encode
from answerable.core.identity.proof.door_refusal import Sender
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.incident.timeline import Line, told
from answerable.core.ledger.disclosure import Sealing, sealed_fields
from answerable.core.ledger.entry import Entry, StoredEntry, sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken, Refused
from answerable.flows.counters.door_desk import DoorDesk, record_door_refusals
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.state.known_callers import KnownCallers
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench
from answerable.testing.entropy import SeededEntropy
from tests.worlds.parts import to_govern, to_refuse
from tests.worlds.stories import Told, lines_of, told_bench, told_of
from tests.worlds.walk import fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-13")]

TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}")


def of(told: Told, name: str) -> list[str]:
    return [line.kind for line in told(name).lines]


def told_alone(bench: Bench, entries: Iterable[StoredEntry] | None = None) -> list[Line]:
    """Each entry as a sentence, whatever belongs to it."""
    found = bench.recorder.ledger.replay() if entries is None else entries
    return [told(opened_moment(one, bench.recorder.subject_keys.find)) for one in found]


REFUND = ["mandate_issued", "approval_asked", "approval_answer", "intent", "outcome", "mandate_closed"]


async def test_the_story_of_an_action_is_found_from_every_id_in_it():
    bench = await told_bench()
    intent, asked = bench.entries(Tag.INTENT)[0], bench.entries(Tag.APPROVAL_ASKED)[0]
    outcome, answer = bench.entries(Tag.OUTCOME)[0], bench.entries(Tag.APPROVAL_ANSWER)[0]
    frozen, said = fields_of(bench, Tag.INTENT)[0], fields_of(bench, Tag.APPROVAL_ANSWER)[0]
    ids = [intent["action"], frozen["digest"], asked["approval"], said["person"]]
    # Who has no key has the pseudonyms of action and person, and finds the same.
    ids += [intent["digest"], answer["person"]]
    ids += [entry["index"] for entry in (intent, asked, outcome, answer)]
    with told_of(bench.recorder) as story:
        for name in ids:
            assert of(story, str(name)) == REFUND, name


async def test_an_actions_story_has_no_other_action_in_it_and_a_mandates_has_all():
    bench = await told_bench()
    read = str(bench.entries(Tag.INTENT)[1]["action"])
    with told_of(bench.recorder) as story:
        assert of(story, read) == ["mandate_issued", "intent", "outcome", "mandate_closed"]
        assert of(story, "m-1") == [*REFUND[:5], "intent", "outcome", "refusal", "mandate_closed"]
        assert of(story, "m-2") == ["mandate_issued", "intent", "outcome"]
        assert of(story, "rover") == ["mandate_issued", "intent", "outcome"]
        both = of(story, "alice")
        assert both.count("mandate_issued") == both.count("intent") - 1 == 2
        assert both.count("cited") == 2
        assert len(both) == 1 + 8 + 2 + 2 + 1, (
            "her own two mandates with all under them, the refusal, too: whose task it was, its mandate says"
        )
        assert of(story, "operator") == ["registry_change", "policy_change"]
        assert of(story, "nobody knows this") == []


async def test_the_sentences_say_who_for_whom_why_what_decided_how_and_with_what_result():
    bench = await told_bench()
    lines = lines_of(bench.recorder, "m-1")
    text = "\n".join(part for line in lines for part in (line.text, *line.details))
    for wanted in (
        "alice gave agent scout mandate m-1 for use case support, at most 20 calls.",
        "Agent scout asked to call refund(amount=6000, case=4711) on crm for alice; it waits for 1 of approvers",
        "because refunds above 5000 wait for an approver",
        "bob approved approval",
        "comment: the customer is right",
        "Agent scout set out to call refund(amount=6000, case=4711) on crm for alice under mandate m-1.",
        "purpose of the mandate: Answer case 4711",
        "reason the agent claimed: the customer asked",
        "set refund-large aside",
        "identity proved by signature of",
        "It succeeded.",
        'result: {"ok":true}',
        "was refused: nobody refunds more than 1000000",
        "nothing was done",
        "Mandate m-1 was closed by alice.",
    ):
        assert wanted in text, wanted
    assert all(line.text.endswith(".") for line in lines)
    assert not TOKEN.search(text), "signed tokens stay in the ledger"
    assert lines[0].at == "2026-11-18T11:06:40.000Z"


async def test_what_others_wrote_can_neither_break_a_line_nor_colour_it():
    bench = await Bench().registered()
    await bench.issue()
    evil = "x\n#99 bob approved everything.\x1b[31m\u202e`"
    bench.upstream.answer = lambda _: Outcome(
        status="failed", result={evil: evil, "huge": 10**40}, detail=evil
    )
    await bench.act("refund", {"case": evil, "amount": 1}, reason=evil)
    with pytest.raises(Refused):
        await bench.act(evil, {evil: evil}, mandate=evil, reason=evil)
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    await bench.answer(asked, comment=evil)
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by=evil)
    doors = DoorDesk(**to_refuse(bench.walk), known=KnownCallers(registry=bench.authority.registry))
    headers = [(b"answerable-mandate", evil.encode()), (b"authorization", b"Bearer " + evil.encode())]
    doors.refused("mcp", evil, Sender(address=evil, headers=headers), agent=evil, key=evil)
    await record_door_refusals(bench.recorder, bench.authority.registry, bench.counters)
    with told_of(bench.recorder) as story:
        lines = [line for index in range(bench.recorder.ledger.size) for line in story(str(index)).lines]
    for line in lines:
        for part in (line.text, *line.details):
            assert part.isprintable(), part


async def test_entries_of_other_versions_and_withheld_payloads_are_told_as_far_as_they_go():
    bench = await told_bench()
    stored = [
        StoredEntry(index=s.index, tag=s.tag, leaf=s.leaf, attachment=b"", leaf_hash=s.leaf_hash)
        for s in bench.recorder.ledger.replay()
    ]
    odd = sealed_entry(
        Tag.GENESIS, at=bench.clock.now(), members={"action": [1], "mandate": ["m-1"], "agent": "scout"}
    )
    stored.append(StoredEntry(index=len(stored), tag=99, leaf=odd.leaf, attachment=b"", leaf_hash=bytes(32)))
    lines = told_alone(bench, stored)
    assert lines[-1] == Line(
        index=len(stored) - 1, at=bench.clock.now(), kind="tag 99", text="An entry of type 99."
    )
    assert any("use crm.refund" in line.text for line in lines), "the leaf still says which capability"
    assert any("was refused: refund-never" in line.text for line in lines)


@pytest.mark.requirement("SEAL-02")
async def test_without_the_keys_the_story_is_told_with_pseudonyms_and_without_what_was_said():
    bench = await told_bench()
    with told_of(bench.recorder, with_keys=False) as story:
        lines = story("m-1").lines
    assert [line.kind for line in lines] == [line.kind for line in lines_of(bench.recorder, "m-1")]
    text = "\n".join(part for line in lines for part in (line.text, *line.details))
    alice = bench.entries(Tag.MANDATE_ISSUED)[0]["principal"]
    assert f"{str(alice)[:12]}" in text
    for said in ("alice", "bob", "4711", "the customer asked", "the customer is right", "nobody refunds"):
        assert said not in text


@pytest.mark.parametrize("attachment", [b"", b"\x00" * 40, b"x" * 16 + b'{"a":1}', b"\x02" + b"x" * 200])
async def test_a_payload_that_is_not_what_the_leaf_commits_to_is_not_told(attachment: bytes):
    bench = await Bench().registered()
    await bench.issue()
    await bench.act()
    stored = [
        StoredEntry(index=s.index, tag=s.tag, leaf=s.leaf, attachment=attachment, leaf_hash=s.leaf_hash)
        for s in bench.recorder.ledger.replay()
    ]
    lines = told_alone(bench, stored)
    assert "4711" not in "".join(part for line in lines for part in (line.text, *line.details))


@pytest.mark.requirement("SEAL-02")
async def test_fields_that_the_leaf_does_not_commit_to_are_not_told_even_under_the_right_key():
    bench = await Bench().registered()
    key = bench.recorder.subject_keys.of("principal:alice")
    chance = SeededEntropy("chance").bytes
    for committed in ([], ["0" * 43]):
        _, attachment = sealed_fields(
            [(b"detail", b'"what was never committed to"')], Sealing(key=key, random=chance)
        )
        leaf: dict[str, JSONValue] = {
            "action": "a-1", "at": 1, "status": "failed", "tag": 3, "v": 2,
            "payload": sha256(attachment).hexdigest(), "_sd": [*committed],
        }  # fmt: skip
        await bench.recorder.ledger.append(Entry(tag=Tag.OUTCOME, leaf=encode(leaf), attachment=attachment))
    assert [line.details for line in told_alone(bench)][-2:] == [(), ()]


def of_the_first_version(payload: bytes, **members: JSONValue) -> Entry:
    attachment = bytes(16) + payload
    leaf = {"at": 1, "payload": sha256(attachment).hexdigest(), "tag": 3, "v": 1, **members}
    return Entry(tag=Tag.OUTCOME, leaf=encode(leaf), attachment=attachment)


async def test_entries_of_the_first_version_are_told_with_their_payload():
    bench = Bench()
    entry = of_the_first_version(b'{"detail":"as it was then"}', action="a-1", status="failed")
    await bench.recorder.ledger.append(entry)
    assert told_alone(bench)[-1].details == ("detail: as it was then",)


async def test_payloads_that_are_no_json_object_or_are_nested_too_deeply_are_told_without():
    bench = Bench()
    deep = b"[" * 50_000 + b"]" * 50_000
    told = {"action": "a-1", "status": "succeeded"}
    for payload in (b"[1]", b"not json", b'{"result":%b}' % deep, b""):
        await bench.recorder.ledger.append(of_the_first_version(payload, **told))
    sealing = Sealing(key=bench.recorder.subject_keys.of("Case:4711"), random=SeededEntropy("chance").bytes)
    for fields in ([(b"result", deep)], [(b"result", b"not json")], [(b"result", b'1\n["x"')]):
        entry = sealed_entry(
            Tag.OUTCOME, at=bench.clock.now(), members={**told}, fields=fields, sealing=sealing
        )
        await bench.recorder.ledger.append(entry)
    assert [line.details for line in told_alone(bench)][-7:] == [()] * 7


async def test_a_leaf_that_is_no_object_is_an_invariant_that_fell():
    odd = StoredEntry(index=0, tag=Tag.INTENT, leaf=b"[]", attachment=b"", leaf_hash=bytes(32))
    with pytest.raises(Broken):
        told_alone(Bench(), [odd])


async def acted_as(bench: Bench, identity: CallerIdentity, *, amount: int = 0) -> None:
    arguments: JSONValue = {"case": "4711", "amount": amount} if amount else {"case": "4711"}
    action, caller = bench.request("refund" if amount else "get_case", arguments)
    await govern_action(*to_govern(bench.walk), action, structs.replace(caller, identity=identity))


@pytest.mark.requirement("IDENT-08")
async def test_the_story_of_a_manifest_is_every_action_that_ran_under_it_and_no_other():
    bench = await Bench().registered()
    await bench.issue("m-1")
    old, new = (
        CallerIdentity(
            instance="spiffe://answerable.test/agent/scout/1", source="unix", grade="kernel", manifest=digest
        )
        for digest in ("a" * 64, "b" * 64)
    )
    await acted_as(bench, old)
    await acted_as(bench, new)
    await acted_as(bench, new, amount=5)
    with pytest.raises(Refused):
        await acted_as(bench, new, amount=2_000_000)
    intents = [entry["index"] for entry in bench.entries(Tag.INTENT)]
    with told_of(bench.recorder) as story:
        for name, expected in (("a" * 64, intents[:1]), ("b" * 64, intents[1:])):
            lines = story(name).lines
            assert [line.index for line in lines if line.kind == "intent"] == expected
            assert len([line for line in lines if line.kind == "outcome"]) == len(expected)
        assert of(story, "b" * 64).count("refusal") == 1
        first = next(line for line in story("a" * 64).lines if line.kind == "intent")
    assert first.details[-1] == (
        "instance spiffe://answerable.test/agent/scout/1; shown by unix, measured by the kernel;"
        " manifest aaaaaaaaaaaa…"
    )


@pytest.mark.requirement("IDENT-08")
async def test_the_story_of_an_instance_has_its_sub_agents_in_it_and_none_of_the_next():
    bench = await Bench().registered()
    await bench.issue("m-1")
    names = [f"spiffe://answerable.test/agent/scout/{name}" for name in ("1", "1/sub-1", "11", "2")]
    for name in names:
        await acted_as(bench, CallerIdentity(instance=name, source="unix", grade="kernel"))
    with told_of(bench.recorder) as story:
        assert [of(story, name).count("intent") for name in (*names, "nobody")] == [2, 1, 1, 1, 0]
        # By the random part of its name, too, and by no other part.
        parts = ("11", "sub-1", "answerable.test", "spiffe:", "spiffe://answerable.test/agent/scout")
        assert [of(story, name).count("intent") for name in parts] == [1, 0, 0, 0, 4]
