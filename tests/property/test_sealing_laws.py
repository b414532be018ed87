"""Laws of sealing on random stories: what people and systems wrote is in no leaf and, unsealed, in no attachment."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.action.outcome import Outcome
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.proof.door_refusal import DoorRefusal
from answerable.core.ledger.disclosure import DISCLOSURE_SALT_BYTES
from answerable.core.ledger.opened import disclosures_of, leaf_of
from answerable.core.ledger.subject_key import DATA_KEY_BYTES, NONCE_BYTES, SECRET_BYTES
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.flows.counters.door_desk import record_door_refusals
from answerable.flows.recovery.settle_open_intents import record_counted_refusals, settle_open_intents
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.entropy import SeededEntropy
from answerable.testing.fault_injection import Trouble
from answerable.testing.registers import fresh_subject_keys
from answerable.testing.samples import document, signing_key
from answerable.testing.trouble_outside import TroubledUpstream
from tests.worlds.parts import to_apply, to_govern, to_settle

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.testing.fault_injection import Fault
    from answerable.testing.recording_upstream import Effect

KEYS_END = DATA_KEY_BYTES + NONCE_BYTES
MARK = "zqmarkzq"
"""In every text that a person or a system writes, and in the names of people."""
PEOPLE = {name: f"{MARK}-{name}" for name in ("alice", "bob", "carol")}


class RecordingEntropy(SeededEntropy):
    """Chance that can be looked at afterwards."""

    __slots__ = ("drawn",)

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.drawn: list[bytes] = []

    def bytes(self, count: int) -> bytes:
        self.drawn.append(super().bytes(count))
        return self.drawn[-1]


def documents(*, customers: bool) -> list[JSONValue]:
    """The bench's registry with marked names of people, and refunds about the customer if wanted."""
    text = encode(bench_documents())
    for name, marked in PEOPLE.items():
        text = text.replace(f'"{name}"'.encode(), f'"{marked}"'.encode())
    found = parse(text)
    assert isinstance(found, list)
    for one in found:
        match one:
            case {"kind": "Principal", "metadata": {"name": str(name)}, "spec": dict(spec)} if MARK in name:
                spec["keys"] = [parse(signing_key(name).public.jwk.encode())]
            case {"kind": "Capability", "metadata": {"name": "crm.refund"}, "spec": dict(spec)} if customers:
                spec["subject"] = {"type": "Customer", "argument": "case"}
    return found


class Story:
    """A bench on which anything may happen; what was said in it is kept to look for."""

    def __init__(self) -> None:
        self.keys_entropy, self.entropy = RecordingEntropy("keys"), RecordingEntropy("walk")
        self.bench = Bench(
            entropy=self.entropy,
            subject_keys=fresh_subject_keys(entropy=self.keys_entropy),
            limits=WalkLimits(
                refusals_recorded_max=5, refusals_window_ms=60_000, recorded_result_bytes_max=120
            ),
        )
        self.digests: set[bytes] = set()
        self.answered: Any = {MARK: MARK}
        self.bench.upstream.answer = lambda _: Outcome(
            status="failed", result=self.answered, detail=f"{MARK} said the upstream"
        )

    async def begun(self) -> Story:
        await self.bench.registered(documents(customers=False))
        await self._issue()
        return self

    async def _issue(self, number: int = 1, by: str = "alice") -> None:
        agent = ("scout", "rover")[number % 2 == 0]
        await self.bench.issue(
            f"m-{number}", principal=PEOPLE[by], agent=agent, calls_max=1000, seconds=86_400
        )

    async def step(self, kind: str, number: int) -> None:
        """One thing that somebody does; that it may be refused is part of the story."""
        with suppress(AnswerableError, ConnectionError):
            await getattr(self, f"_{kind}")(number)

    async def _act(self, number: int, **changes: Any) -> None:
        wanted: dict[str, Any] = {
            "target": "refund",
            "arguments": {"case": f"{MARK}-{number}", "amount": (100, 6000, 2_000_000)[number % 3]},
            "mandate": "m-1",
            "reason": f"{MARK} asked {number}",
            **changes,
        }
        action, caller = self.bench.request(wanted.pop("target"), wanted.pop("arguments"), **wanted)
        self.digests |= {action.action.digest, caller.message_digest}
        await govern_action(*to_govern(self.bench.walk), action, caller)

    async def _read(self, number: int) -> None:
        await self._act(number, target="get_case", arguments={"case": f"{MARK} {number}"})

    async def _unfit(self, number: int) -> None:
        await self._act(number, arguments={f"{MARK}": f"{MARK}", "case": number})

    async def _long(self, number: int) -> None:
        await self._act(number, arguments={"case": MARK * 2000, "amount": MARK})

    async def _unknown(self, number: int) -> None:
        changes: list[dict[str, Any]] = [
            {"mandate": f"{MARK}-{number}"},
            {"server": f"{MARK}-{number}"},
            {"target": f"{MARK}-{number}"},
            {"mandate": f"{MARK}", "server": f"{MARK}", "target": f"{MARK}"},
            {"mandate": ""},
        ]
        await self._act(number, **changes[number % len(changes)])

    async def _answer(self, number: int) -> None:
        for approval in self.bench.authority.approvals.all(pending_only=True, now=self.bench.clock.now()):
            person = PEOPLE[("bob", "carol", "alice")[number % 3]]
            verdict = "deny" if number % 5 == 0 else "approve"
            await self.bench.answer(approval, by=person, verdict=verdict, comment=f"{MARK} {number}")

    async def _mandate(self, number: int) -> None:
        await self._issue(2 + number, ("alice", "bob")[number % 2])

    async def _close(self, number: int) -> None:
        await close_mandate(
            self.bench.recorder,
            self.bench.authority,
            self.bench.live,
            f"m-{2 + number}",
            by=f"{MARK} {number}",
        )

    async def _apply(self, number: int) -> None:
        changed = documents(customers=number % 2 == 0)
        changed.append(document("Principal", f"{MARK}-{number}", {"displayName": MARK}))
        if number % 3 == 0:
            more = f'@id("more-{number}") @reason("{MARK}") permit (principal, action == Action::"crm.read", resource);'
            changed.append(document("PolicySet", "more", {"policies": more}))
        await apply_registry(*to_apply(self.bench.walk), changed, by=f"{MARK} the operator")

    async def _breaks(self, number: int) -> None:
        fault: Fault = "undone" if number % 2 else "done"
        upstream = self.bench.walk.verification.upstream
        self.bench.walk.verification.upstream = TroubledUpstream(
            self.bench.upstream, Trouble(lambda _n, method: fault if "perform" in method else None)
        )
        try:
            await self._act(0)
        finally:
            self.bench.walk.verification.upstream = upstream

    async def _hangs(self, number: int) -> None:
        async def late(_: Effect) -> None:
            self.bench.clock.advance(200)
            await settle_open_intents(*to_settle(self.bench.walk))

        self.bench.upstream.after = late
        try:
            await self._act(3 * number)
        finally:
            self.bench.upstream.after = None

    async def _odd(self, number: int) -> None:
        odd: list[Any] = [
            {MARK: 10**40},
            {MARK: "\ud800"},
            {MARK: [MARK] * 200},
            {MARK: float("nan")},
            {MARK: object()},
        ]
        self.answered = odd[number % len(odd)]
        await self._act(0)

    async def _time(self, number: int) -> None:
        self.bench.clock.advance(10 * number)

    async def _count(self, number: int) -> None:
        """Strangers are turned away at a door, and what they claimed is written down."""
        walk = self.bench.walk
        now = walk.clock.now()
        for one in range(number):
            stranger = DoorRefusal(
                door="mcp", code="proof.key", source=f"10.0.0.{one}", first=now, last=now, key="k" * 43
            )
            claiming = partial(replace, peer=f"{MARK} port 1", agent_named=MARK, mandate_named=MARK)
            walk.counters.door_refusals.note(stranger, claiming)
        await record_door_refusals(walk.recorder, walk.authority.registry, walk.counters)
        walk.counters.quota.note(AgentId("scout"), now)
        walk.counters.quota.restore_counted({"scout": number})
        await record_counted_refusals(walk.recorder, walk.asking.passkeys, walk.counters.quota)


KINDS = (
    "act", "act", "act", "read", "unfit", "long", "unknown", "unknown", "answer", "answer", "mandate", "close", "apply",
    "breaks", "hangs", "odd", "time", "count",
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 30)), min_size=1, max_size=25)
EVERYTHING = [(kind, number) for number in (*range(6), 30) for kind in dict.fromkeys(KINDS)]


def told(steps: list[tuple[str, int]]) -> tuple[Story, list[StoredEntry]]:
    async def play() -> Story:
        story = await Story().begun()
        for kind, number in steps:
            await story.step(kind, number)
        return story

    story = asyncio.run(play())
    return story, list(story.bench.recorder.ledger.replay())


def spelled(text: str) -> set[bytes]:
    """A text as it might stand somewhere: as it is, in hex, in base64 wherever it begins, as an unsalted digest."""
    raw = text.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):
        # Only what the text alone decides: characters that neighbours have a part in are left out.
        found.add(
            b64encode(b"\0" * shift + raw)[
                (0, 2, 3)[shift] : len(b64encode(b"\0" * shift + raw)) // 4 * 4 - 4
            ]
        )
    for digest in (sha256(raw).digest(), sha256(b'"%b"' % raw).digest()):
        found |= {
            digest,
            digest.hex().encode(),
            urlsafe_b64encode(digest).rstrip(b"="),
            b64encode(digest).rstrip(b"="),
        }
    return found


def check_leaves(story: Story, entries: list[StoredEntry]) -> None:
    leaves = b"\n".join(stored.leaf for stored in entries)
    texts = {MARK, *PEOPLE.values(), f"{MARK} the operator", "Answer case 4711"}
    for text in texts:
        for spelling in spelled(text):
            assert spelling not in leaves, text
    for digest in story.digests:
        for spelling in (digest.hex().encode(), urlsafe_b64encode(digest).rstrip(b"=")):
            assert spelling not in leaves


# What members of leaves may hold: nothing that anybody could write a sentence, or another person's name, into.
VOCABULARY = re.compile(
    r"""(?x)
    | [0-9a-f]{16} | [0-9a-f]{32} | [0-9a-f]{64}            # ids, digests, pseudonyms
    | [A-Za-z0-9_-]{43}                                     # digests of fields, thumbprints of keys
    | [0-9a-hjkmnp-tv-z]{26}                                # tokens of ours
    | scout | rover | support | crm | crm\.read | crm\.refund | approvers | m-[0-9]+ | tools/call | signature
    | one_person | two_people | rollback | registry
    | (Agent|Capability)/(scout|rover|crm\.read|crm\.refund) # raised without drills
    | mcp | proof\.key                                       # a door, and the code of its refusal
    | hold_[A-Za-z0-9_-]{22} | rule | refusal-quota | agent  # an agent that is refused too often is held
    | mandate | policy_set | tool | allow | defer | approve | deny | approved | denied | pending
    | succeeded | failed | not_started | indeterminate
    | read | refund | refund-large | refund-huge | refund-never | more-[0-9]+
    | (agent|approval|arguments|capability|mandate|policy|resource|upstream)\.[a-z_]+
    """
)


def check_vocabulary(entries: list[StoredEntry]) -> None:
    """Not only what was marked: no text in a leaf is of anybody's choosing but the registry's."""
    for stored in entries:
        if stored.tag == Tag.GENESIS:
            continue
        pending: list[object] = [leaf_of(stored)]
        while pending:
            value = pending.pop()
            if isinstance(value, dict):
                pending += [*value.values(), *value]
                for name in value:
                    assert re.fullmatch(r"[a-z_]{1,16}", name), name
                    pending.remove(name)
            elif isinstance(value, list):
                pending += value
            elif isinstance(value, str):
                assert VOCABULARY.fullmatch(value), (stored.tag, value)
            else:
                assert type(value) is int


def check_attachments(story: Story, entries: list[StoredEntry]) -> None:
    attachments = b"\n".join(stored.attachment for stored in entries)
    leaves = b"\n".join(stored.leaf for stored in entries)
    for hidden in (MARK.encode(), b"4711", b'"action"', b'"reason"', b"arguments"):
        assert hidden not in attachments
    for digest in story.digests:
        assert digest not in attachments
        assert digest.hex().encode() not in attachments
    secrets = [drawn for drawn in story.keys_entropy.drawn if len(drawn) == SECRET_BYTES]
    # One draw is one seal: data key, nonce, then the salts of its fields.
    seals = [drawn for drawn in story.entropy.drawn if len(drawn) > KEYS_END]
    assert secrets
    assert seals
    for drawn in seals:
        salts = drawn[KEYS_END:]
        size = DISCLOSURE_SALT_BYTES
        secrets += [drawn[:DATA_KEY_BYTES], *(salts[at : at + size] for at in range(0, len(salts), size))]
    for secret in secrets:
        for spelling in (secret, secret.hex().encode(), urlsafe_b64encode(secret).rstrip(b"=")):
            assert spelling not in attachments
            assert spelling not in leaves
    for start, end in ((0, DATA_KEY_BYTES), (DATA_KEY_BYTES, KEYS_END)):
        used = [drawn[start:end] for drawn in seals]
        assert len(set(used)) == len(used), "no data key or nonce is used twice"


def check_fields(story: Story, entries: list[StoredEntry]) -> None:
    """Everything that was sealed can be read again by who has the keys, by strict readers, too."""
    salts: list[str] = []
    said = b""
    for stored in entries:
        fields = disclosures_of(stored, story.bench.recorder.subject_keys.find)
        assert fields is not None, stored.tag
        for one in fields:
            salt, _, _ = msgspec.json.decode(one.array)
            salts.append(salt)
            said += one.array
    assert len(set(salts)) == len(salts), "no salt is used twice"
    assert MARK.encode() in said, "it was said, and is kept where only the keys lead"


@pytest.mark.requirement("SEAL-01", "SEAL-02", "SEAL-03")
@given(STEPS)
def test_nothing_that_was_said_is_in_a_leaf_or_unsealed_in_an_attachment(steps):
    story, entries = told(steps)
    check_leaves(story, entries)
    check_vocabulary(entries)
    check_attachments(story, entries)
    check_fields(story, entries)


@pytest.mark.requirement("SEAL-01", "SEAL-02", "SEAL-03")
def test_a_story_in_which_everything_happens_says_nothing_in_its_leaves():
    story, entries = told([*EVERYTHING, *EVERYTHING, ("count", 0)])
    tags = {Tag(stored.tag) for stored in entries}
    # A story that leaves out kinds of entries proves nothing about them.
    assert tags >= {
        Tag.INTENT, Tag.OUTCOME, Tag.INDETERMINATE, Tag.REFUSAL, Tag.REFUSALS_COUNTED, Tag.DOOR_REFUSAL,
        Tag.APPROVAL_ASKED,
        Tag.APPROVAL_ANSWER, Tag.MANDATE_ISSUED, Tag.MANDATE_CLOSED, Tag.REGISTRY_CHANGE, Tag.POLICY_CHANGE, Tag.CITED,
    }  # fmt: skip
    check_leaves(story, entries)
    check_vocabulary(entries)
    check_attachments(story, entries)
    check_fields(story, entries)
