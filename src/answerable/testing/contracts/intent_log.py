"""Contract suite of the IntentLog port. To test an adapter, subclass it and implement `opened` and `opened_full`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import structs

from answerable.core.approval.approval import ApprovalId
from answerable.core.base64url import to_base64url
from answerable.core.ledger.commit import CommitRequest, Committed, Conflict
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.budget import NOTHING, ONE_CALL, Account, Lack, Reserved
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts.approval_register import LATER, approved
from answerable.testing.contracts.claims import claim
from answerable.testing.contracts.prepared_register import sample_prepared
from answerable.testing.samples import approval, mandate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.core.ledger.runs import Run
    from answerable.core.mandate.budget import Amounts
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.intent_log import IntentLog
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.prepared_register import PreparedRegister

M1 = MandateId("m-1")
HOP = "hop-1"
RACERS = 8
A1 = ApprovalId("a-1")
P1 = sample_prepared().id


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An intent log, and where it takes something. close: release everything in order."""

    intents: IntentLog
    ledger: Ledger
    mandates: MandateRegister
    approvals: ApprovalRegister
    prepared: PreparedRegister
    close: Callable[[], Awaitable[None]]


@dataclass(kw_only=True)
class HeardCounts:
    """Implements StartCounts. heard: what it was told, in order."""

    heard: list[str] = field(default_factory=list)

    def waits(self) -> None:
        self.heard.append("waits")

    def placed(self, index: int) -> None:
        self.heard.append(f"placed {index}")

    def withdraw(self) -> None:
        self.heard.append("withdraw")


def commit_request(
    number: int = 0,
    *,
    calls: int = 100,
    more: tuple[Account, ...] = (),
    amounts: Amounts = ONE_CALL,
    approval: str = "",
    prepared: str = "",
    mandate: MandateId = M1,
    counts: HeardCounts | None = None,
) -> CommitRequest:
    """Return the request of one action. calls: limit of its mandate. more: further accounts."""
    accounts = (Account(id=mandate, limits={"calls": calls}), *more)
    action = f"action-{number}"

    def intent(run: Run, call: int) -> Entry:
        members: dict[str, JSONValue] = {
            "accounts": [one.id for one in more],
            "action": action,
            "approval": approval,
            "call": call,
            "mandate": mandate,
            "prepared": prepared,
            "reserved": {**amounts},
        }
        return sealed_entry(Tag.INTENT, at=START, members=members, run=run)

    return CommitRequest(
        make=intent,
        mandate=mandate,
        accounts=accounts,
        reserved=Reserved(accounts=tuple(one.id for one in accounts), amounts=amounts),
        approval=approval,
        prepared=prepared,
        action=action,
        at=LATER,
        counts=counts or HeardCounts(),
    )


async def ended(
    under: Opened,
    begun: CommitRequest,
    intent: Receipt,
    *,
    returned: Amounts = NOTHING,
    overrun: Amounts = NOTHING,
) -> Receipt:
    """Finish an intent and return the receipt of its end."""

    def end(run: Run | None) -> Entry:
        members: dict[str, JSONValue] = {
            "intent": intent.index,
            "overrun": {**overrun},
            "returned": {**returned},
        }
        return sealed_entry(Tag.OUTCOME, at=START, members=members, run=run)

    receipt, left = await under.intents.finish(
        begun.mandate,
        end,
        reserved=begun.reserved,
        returned=returned,
        overrun=overrun,
        patient=True,
        placed=lambda _: None,
    )
    claim(left is None, "nobody left")
    return receipt


def ready(under: Opened) -> Opened:
    """Register two mandates, an approved approval and a prepared object."""
    for name in (M1, MandateId("m-2")):
        under.mandates.add(mandate(name))
    waiting = approval(A1)
    under.approvals.add(waiting)
    under.approvals.replace(approved(waiting), was=waiting)
    under.prepared.add(sample_prepared(), waiting_max=9)
    return under


def state(under: Opened) -> tuple[object, ...]:
    """Return everything that a commit may take, and the length of the log."""
    kept, waiting = under.prepared.get(P1), under.approvals.find(A1)
    budgets = tuple(
        {name: used for name, used in under.mandates.used(account).items() if used} for account in (M1, HOP)
    )
    return budgets, waiting and waiting.state, kept, under.ledger.size


def committed(found: Committed | Conflict) -> Committed:
    """Return the commit. Raises AssertionError for a conflict."""
    if not isinstance(found, Committed):
        raise AssertionError(f"expected a commit, got {found}")
    return found


class IntentLogContract(ABC):
    """Contract cases for any intent log. `tmp_path` is an empty directory of the test."""

    @abstractmethod
    async def opened(self, tmp_path: Path) -> Opened:
        """Open an intent log that stores its state in that directory; opening again is a restart."""

    @abstractmethod
    async def opened_full(self, tmp_path: Path) -> Opened:
        """Open one whose log has room for nothing but what is owed; `ready` can still be called on it."""

    def run(self, tmp_path: Path, case: Callable[[Opened], Coroutine[object, object, None]]) -> None:
        """Run a case on a fresh intent log."""

        async def main() -> None:
            under = ready(await self.opened(tmp_path))
            try:
                await case(under)
            finally:
                await under.close()

        asyncio.run(main())

    def test_everything_is_taken_with_the_intent_which_is_durable_on_return(self, tmp_path: Path) -> None:
        async def case(under: Opened) -> None:
            counts = HeardCounts()
            hop = Account(id=HOP, limits={"calls": 1, "rows": 9})
            amounts = {"calls": 1, "rows": 9}
            request = commit_request(more=(hop,), amounts=amounts, approval=A1, prepared=P1, counts=counts)
            found = committed(await under.intents.commit(request))
            claim(found.call == 1, "it is the first call")
            claim(found.left is None, "nobody left")
            claim(counts.heard == [f"placed {found.receipt.index}"], "it counts from its place on")
            stored = under.ledger.entry(found.receipt.index)
            claim(stored.leaf_hash == found.receipt.leaf_hash, "the intent can be read: it is durable")
            leaf = leaf_of(stored)
            claim((leaf["call"], leaf["approval"]) == (1, A1), "and states what it took")
            budgets, approval_state, kept, _ = state(under)
            claim(budgets == (amounts, amounts), "each account has spent it")
            claim(approval_state == "used", "the approval is used")
            used = under.prepared.get(P1)
            claim(used is not None and used.used_by == "action-0", "and so is the prepared object, by it")
            claim(kept is not None, "whose use stays known")

        self.run(tmp_path, case)

    def test_a_conflict_takes_nothing(self, tmp_path: Path) -> None:
        async def case(under: Opened) -> None:
            other = approval("a-2", amount=1)
            under.approvals.add(other)
            under.mandates.close(MandateId("m-2"))
            scarce = Account(id=HOP, limits={"calls": 100, "rows": 4})
            before = state(under)
            rows = {"calls": 1, "rows": 5}
            lacks = commit_request(more=(scarce,), amounts=rows, approval=A1, prepared=P1)
            cases = (
                ("mandate.closed", commit_request(mandate=MandateId("m-2"), approval=A1, prepared=P1)),
                ("mandate.closed", commit_request(mandate=MandateId("m-9"), approval=A1, prepared=P1)),
                ("rows", lacks),
                ("prepared.used", commit_request(approval=A1, prepared="nobody's")),
                ("approval.used", commit_request(approval=other.id, prepared=P1)),
                ("approval.used", commit_request(approval="nobody's", prepared=P1)),
            )
            for why, request in cases:
                found = await under.intents.commit(request)
                claim(isinstance(found, Conflict), f"{why}: it is a conflict")
                if isinstance(found, Conflict):
                    told = found.why.budget if isinstance(found.why, Lack) else found.why
                    claim(told == why, f"{why}: and says so, not {told}")
                    claim(found.receipt is None, "and no intent stands in the log")
                claim(state(under) == before, f"{why}: nothing is taken")
                counts = request.counts
                claim(isinstance(counts, HeardCounts) and not counts.heard[1:], "it counts nowhere")
            committed(await under.intents.commit(commit_request(approval=A1, prepared=P1)))

        self.run(tmp_path, case)

    def test_an_approval_and_a_prepared_object_serve_in_time_only(self, tmp_path: Path) -> None:
        async def case(under: Opened) -> None:
            before = state(under)
            ends = (
                ("approval.used", approval(A1).expires_at, commit_request(approval=A1)),
                ("prepared.used", sample_prepared().expires_at, commit_request(prepared=P1)),
            )
            for why, at, request in ends:
                found = await under.intents.commit(structs.replace(request, at=at))
                claim(isinstance(found, Conflict) and found.why == why, f"{why}: at its end")
                claim(state(under) == before, "and nothing is taken")

        self.run(tmp_path, case)

    def test_of_those_who_race_for_the_last_unit_one_is_committed(self, tmp_path: Path) -> None:
        async def case(under: Opened) -> None:
            hop = Account(id=HOP, limits={"calls": 1})
            requests = [commit_request(number, more=(hop,)) for number in range(RACERS)]
            found = await asyncio.gather(*map(under.intents.commit, requests))
            claim(sum(isinstance(one, Committed) for one in found) == 1, "one is committed")
            lacks = [one for one in found if isinstance(one, Conflict) and isinstance(one.why, Lack)]
            claim(len(lacks) == RACERS - 1, "the others lack")
            claim(under.mandates.calls_used(M1) == 1, "and nothing of theirs is taken")

        self.run(tmp_path, case)

    def test_of_those_who_race_for_one_use_one_is_committed(self, tmp_path: Path) -> None:
        async def case(under: Opened) -> None:
            requests = [commit_request(number, approval=A1, prepared=P1) for number in range(RACERS)]
            found = await asyncio.gather(*map(under.intents.commit, requests))
            (won,) = [number for number, one in enumerate(found) if isinstance(one, Committed)]
            claim(
                all(one.receipt is None for one in found if isinstance(one, Conflict)),
                "no other has an intent",
            )
            used = under.prepared.get(P1)
            claim(used is not None and used.used_by == f"action-{won}", "the winner used the object")
            claim(under.mandates.calls_used(M1) == 1, "and nothing of the others is taken")
            intents = [one for one in under.ledger.replay() if one.tag == Tag.INTENT]
            claim(
                [leaf_of(one)["action"] for one in intents] == [f"action-{won}"], "one intent is in the log"
            )

        self.run(tmp_path, case)

    def test_a_log_without_room_takes_nothing(self, tmp_path: Path) -> None:
        async def main() -> None:
            under = ready(await self.opened_full(tmp_path))
            try:
                before = state(under)
                counts = HeardCounts()
                request = commit_request(approval=A1, prepared=P1, counts=counts)
                try:
                    await under.intents.commit(request)
                except Unavailable as refused:
                    claim((refused.code, refused.effect) == ("ledger.full", "none"), "the log is full")
                else:
                    raise AssertionError("a full log took an intent")
                claim(state(under) == before, "nothing is taken")
                claim(counts.heard[-1] == "withdraw", "and it counts nowhere")
            finally:
                await under.close()

        asyncio.run(main())

    def test_an_end_gives_back_and_takes_more(self, tmp_path: Path) -> None:
        async def case(under: Opened) -> None:
            amounts = {"calls": 1, "rows": 9, "bytes": 5}
            limited = (Account(id=HOP, limits={"rows": 9}),)
            request = commit_request(more=limited, amounts=amounts)
            found = committed(await under.intents.commit(request))
            again = await under.intents.commit(commit_request(1, more=limited, amounts=amounts))
            claim(isinstance(again, Conflict), "while it is open, its reservation is taken")
            receipt = await ended(under, request, found.receipt, returned={"rows": 7}, overrun={"bytes": 3})
            claim(receipt.index == found.receipt.index + 1, "its end is durable")
            left = {"calls": 1, "rows": 2, "bytes": 8}
            claim(state(under)[0] == (left, left), "both accounts have spent what it used")
            small = {"calls": 1, "rows": 7}
            committed(await under.intents.commit(commit_request(2, more=limited, amounts=small)))

        self.run(tmp_path, case)

    def test_entries_of_a_mandate_are_one_run_without_a_gap(self, tmp_path: Path) -> None:
        async def case(under: Opened) -> None:
            first = commit_request()
            begun = committed(await under.intents.commit(first))
            await under.intents.commit(commit_request(1, mandate=MandateId("m-9")))
            noted, _ = await under.intents.record(
                M1, lambda run: sealed_entry(Tag.REFUSAL, at=START, members={"agent": "scout"}, run=run)
            )
            end = await ended(under, first, begun.receipt)
            runs = [leaf_of(under.ledger.entry(one.index))["run"] for one in (begun.receipt, noted, end)]
            prev = ["", *map(to_base64url, (begun.receipt.leaf_hash, noted.leaf_hash))]
            told = [(one["seq"], one["prev"]) for one in runs if isinstance(one, dict)]
            claim(told == [*enumerate(prev)], "each names the one before")

        self.run(tmp_path, case)

    def test_a_restart_counts_what_was_kept_and_what_the_log_says(self, tmp_path: Path) -> None:
        hop = Account(id=HOP, limits={"rows": 100})
        rows = {"calls": 1, "rows": 10}

        async def life(number: int, *, keeps: bool) -> None:
            under = await self.opened(tmp_path)
            if number == 0:
                ready(under)
            under.intents.restore_budgets()
            claim(under.mandates.used(HOP).get("rows", 0) == number * 6, "nothing is lost or counted twice")
            request = commit_request(number, more=(hop,), amounts=rows)
            found = committed(await under.intents.commit(request))
            if keeps:
                under.intents.keep_budgets()
            await ended(under, request, found.receipt, returned={"rows": 4})
            await under.close()

        for number, keeps in enumerate((False, True, True, False)):
            asyncio.run(life(number, keeps=keeps))
