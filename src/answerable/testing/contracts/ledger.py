"""Contract suite of the Ledger port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from answerable.core.ledger.batch_head import verified_batch_head
from answerable.core.ledger.codec import chain_start, chained
from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.entry import Entry, Receipt, sealed_entry
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.checkpoint import verified_checkpoint
from answerable.core.tlog.merkle import leaf_hash, root_of
from answerable.core.tlog.note import VerifierKey
from answerable.errors import Malformed, Unavailable
from answerable.ports.ledger import Ledger
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises
from answerable.testing.entropy import SeededEntropy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ORIGIN = "ledger.example/contract"


class ClosableLedger(Ledger, Protocol):
    """A ledger that its owner can close."""

    async def close(self) -> None:
        """Close it in order."""
        ...


def log_key(origin: str = ORIGIN) -> tuple[VerifierKey, Callable[[bytes], bytes]]:
    """Return the key with which a sample log signs; it is derived from the origin and protects nothing."""
    private = Ed25519PrivateKey.from_private_bytes(sha256(origin.encode()).digest())
    return VerifierKey.ed25519(origin, private.public_key().public_bytes_raw()), private.sign


SUBJECT = SubjectKey(id=bytes(16), secret=bytes(32))
"""The subject of the entries in this suite."""


def refusal_entry(number: int, payload: bytes = b"{}") -> Entry:
    """Return a new entry that is not owed."""
    chance = SeededEntropy(number)
    return sealed_entry(
        Tag.REFUSAL,
        at=START,
        members={"action": f"action-{number}", "agent": "scout"},
        fields=((b"payload", payload),),
        sealing=Sealing(key=SUBJECT, random=chance.bytes),
    )


def intent_entry(number: int) -> Entry:
    """Return an intent, with the members that a ledger checks."""
    return sealed_entry(Tag.INTENT, at=START, members={"action": f"action-{number}"})


def end_entry(intent: int, tag: Tag = Tag.OUTCOME) -> Entry:
    """Return the end of the intent at this index, with the members that a ledger checks."""
    return sealed_entry(tag, at=START, members={"intent": intent})


def owed_entry(number: int) -> Entry:
    """Return an entry for which the reserve exists."""
    return sealed_entry(Tag.MANDATE_CLOSED, at=START, members={"mandate": f"mandate-{number}"})


class LedgerContract:
    """Contract cases for any ledger. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> ClosableLedger:
        """Open a log of `ORIGIN`, signed with `log_key`. Called with the event loop running."""
        raise NotImplementedError

    async def opened_full(self, tmp_path: Path) -> ClosableLedger:
        """Open a log with no room left but the reserve, which has room for at least one small owed entry."""
        raise NotImplementedError

    def test_entries_stand_in_the_order_of_their_receipts(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            start = ledger.size
            entries = [refusal_entry(number) for number in range(20)]
            receipts = [await ledger.append(entry) for entry in entries]
            claim(
                [one.index for one in receipts] == list(range(start, start + 20)), "indexes are consecutive"
            )
            for entry, receipt, stored in zip(entries, receipts, ledger.replay(start), strict=True):
                claim(
                    stored.leaf == entry.leaf and stored.attachment == entry.attachment, "kept byte for byte"
                )
                claim(stored.index == receipt.index and stored.tag == entry.tag, "at its place, with its tag")
                claim(
                    receipt.leaf_hash == stored.leaf_hash == leaf_hash(entry.leaf), "hashed as RFC 6962 says"
                )
            claim(ledger.size == start + 20, "the size counts them")
            await ledger.close()

        asyncio.run(run())

    def test_indexes_start_at_zero(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            await ledger.append(refusal_entry(0))
            claim(
                [one.index for one in ledger.replay()] == list(range(ledger.size)), "from 0 and without a gap"
            )
            await ledger.close()

        asyncio.run(run())

    def test_racing_appends_each_have_their_own_place(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            start = ledger.size
            entries = [refusal_entry(number) for number in range(300)]
            receipts = await asyncio.gather(*(ledger.append(entry) for entry in entries))
            stored = {one.index: one.leaf for one in ledger.replay(start)}
            claim(sorted(stored) == list(range(start, start + 300)), "no place is taken twice or left empty")
            for entry, receipt in zip(entries, receipts, strict=True):
                claim(stored[receipt.index] == entry.leaf, "each entry is at the place of its receipt")
            await ledger.close()

        asyncio.run(run())

    def test_replay_shows_what_was_durable_at_the_call(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            await ledger.append(refusal_entry(1))
            size = ledger.size
            replay = ledger.replay(size - 1)
            await ledger.append(refusal_entry(2))
            claim([one.index for one in replay] == [size - 1], "later entries are not in it")
            claim(list(ledger.replay(ledger.size)) == [], "nothing stands past the end")
            await ledger.close()

        asyncio.run(run())

    def test_one_entry_is_found_by_its_index(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            await asyncio.gather(*(ledger.append(refusal_entry(number, b"1" * 500)) for number in range(50)))
            for stored in ledger.replay():
                claim(ledger.entry(stored.index) == stored, "as replay shows it")
            for index in (-1, ledger.size, ledger.size + 1, 2**64):
                with raises(Malformed, "ledger.no_entry", "there is no such entry"):
                    ledger.entry(index)
            await ledger.close()

        asyncio.run(run())

    def test_an_acknowledgement_carries_what_the_log_holds_signed(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            receipts = await asyncio.gather(*(ledger.append(refusal_entry(number)) for number in range(30)))
            submitted = ledger.submit(refusal_entry(30))
            receipts.append(await submitted.durable())
            chain, chains = chain_start(ORIGIN), [chain_start(ORIGIN)]
            for stored in ledger.replay():
                chain = chained(chain, stored.leaf_hash)
                chains.append(chain)
            for receipt in receipts:
                if receipt.head is None:
                    raise AssertionError("every receipt has a head")
                told = verified_batch_head(receipt.head.signed(), key=log_key()[0])
                claim(told.origin == ledger.origin, "of this log")
                claim(receipt.index < told.size <= ledger.size, "over this entry, and none that is not there")
                claim(chains[told.size] == told.chain, "with the chain value that follows from the entries")
                claim(told.at == START, "at the time of the writer's clock")
            await ledger.close()

        asyncio.run(run())

    def test_a_new_ledger_has_no_open_intents(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            claim(ledger.open_intents() == (), "none was begun")
            await ledger.close()

        asyncio.run(run())

    def test_a_checkpoint_covers_every_durable_entry(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            for count in (1, 6):
                for number in range(count):
                    await ledger.append(refusal_entry(number))
                note = ledger.seal().encode()
                checkpoint = verified_checkpoint(note, origin=ledger.origin, log_keys=(log_key()[0],))
                claim(checkpoint.size == ledger.size, "it is over all entries")
                hashes = [one.leaf_hash for one in ledger.replay()]
                claim(checkpoint.root == root_of(hashes), "its root is theirs")
            await ledger.close()

        asyncio.run(run())

    def test_a_cancelled_append_disturbs_nobody(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            tasks = [asyncio.ensure_future(ledger.append(refusal_entry(number))) for number in range(30)]
            await asyncio.sleep(0)
            for task in tasks[::3]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            after = await ledger.append(refusal_entry(99))
            stored = {one.index: one.leaf_hash for one in ledger.replay()}
            claim(sorted(stored) == list(range(ledger.size)), "no gap is left")
            for result in (*results, after):
                if isinstance(result, Receipt):
                    claim(stored[result.index] == result.leaf_hash, "each receipt is true")
                else:
                    claim(isinstance(result, asyncio.CancelledError), "only the cancelled were cancelled")
            claim(sum(isinstance(one, Receipt) for one in results) >= 20, "the others were acknowledged")
            await ledger.close()

        asyncio.run(run())

    def test_a_submitted_entry_keeps_its_place_whoever_leaves(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            start = ledger.size
            submitted = [ledger.submit(refusal_entry(number)) for number in range(6)]
            claim(
                [one.receipt.index for one in submitted] == list(range(start, start + 6)),
                "each has its place",
            )
            tasks = [asyncio.ensure_future(one.durable()) for one in submitted]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for one in submitted:
                claim(await one.durable() == one.receipt, "it may be waited for again")
            claim(ledger.size == start + 6, "and all are there")
            leaves = [stored.leaf_hash for stored in ledger.replay(start)]
            claim(leaves == [one.receipt.leaf_hash for one in submitted], "at their places")
            await ledger.close()
            with raises(Unavailable, "ledger.closed", "after the end nothing is accepted"):
                ledger.submit(refusal_entry(9))
            claim(await submitted[0].durable() == submitted[0].receipt, "what was durable stays so")

        asyncio.run(run())

    def test_a_closed_ledger_takes_nothing(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            size = ledger.size
            await ledger.close()
            await ledger.close()
            with raises(Unavailable, "ledger.closed", "an append after the end is refused"):
                await ledger.append(refusal_entry(1))
            with raises(Unavailable, "ledger.closed", "nothing is signed after the end"):
                ledger.seal()
            claim(ledger.size == size, "and left nothing")

        asyncio.run(run())

    def test_a_full_ledger_still_takes_what_is_owed(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = await self.opened_full(tmp_path)
            size = ledger.size
            with raises(Unavailable, "ledger.full", "a new entry is refused"):
                await ledger.append(refusal_entry(1))
            claim((await ledger.append(owed_entry(1))).index == size, "an owed one is taken")
            claim((await ledger.submit(owed_entry(2)).durable()).index == size + 1, "and another")
            with raises(Unavailable, "ledger.full", "a new entry is still refused"):
                ledger.submit(refusal_entry(2))
            claim(ledger.size == size + 2, "and nothing more is taken")
            await ledger.close()

        asyncio.run(run())


class DurableLedgerContract(LedgerContract):
    """Contract cases for ledgers that persist their entries. `opened` on the same directory is a restart."""

    def test_what_was_acknowledged_is_there_after_a_restart(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            await asyncio.gather(*(ledger.append(refusal_entry(number)) for number in range(10)))
            before = list(ledger.replay())
            await ledger.close()
            again = self.opened(tmp_path)
            claim(list(again.replay())[: len(before)] == before, "nothing was lost or changed")
            receipt = await again.append(refusal_entry(10))
            claim(receipt.index == again.size - 1 >= len(before), "and it goes on behind it")
            await again.close()

        asyncio.run(run())

    def test_intents_without_an_end_are_known_after_a_restart(self, tmp_path: Path) -> None:
        async def run() -> None:
            expected: list[int] = []
            for life in range(4):
                ledger = self.opened(tmp_path)
                found = ledger.open_intents()
                claim([stored.index for stored in found] == expected, f"those and no others, in life {life}")
                claim([ledger.entry(stored.index) for stored in found] == [*found], "as they were recorded")
                if expected:
                    tag = Tag.OUTCOME if life % 2 else Tag.INDETERMINATE
                    await ledger.append(end_entry(expected.pop(0), tag))
                begun = [await ledger.append(intent_entry(number)) for number in range(5)]
                if life % 2:
                    ledger.seal()
                await ledger.append(end_entry(begun[1].index))
                expected += [one.index for one in begun if one is not begun[1]]
                await ledger.close()
            await self.opened(tmp_path).close()

        asyncio.run(run())

    def test_a_second_writer_cannot_open_the_log(self, tmp_path: Path) -> None:
        async def run() -> None:
            ledger = self.opened(tmp_path)
            with raises(Unavailable, "ledger.locked", "one writer at a time"):
                self.opened(tmp_path)
            await ledger.append(refusal_entry(1))
            await ledger.close()
            await self.opened(tmp_path).close()

        asyncio.run(run())
