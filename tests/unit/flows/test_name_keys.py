"""Whose keys are whose, in the ledger: with every change of the registry, and before what a key file signed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from answerable.core.canonical import parse
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.recording.name_keys import NAMED_MAX, key_on_record
from answerable.flows.recording.record_entry import pseudonym_of
from answerable.flows.registry import apply_registry as applying
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.fault_injection import Crash, Trouble, TroubledLedger
from answerable.testing.samples import document, signing_key
from tests.worlds.keys import LATER, answered, found, person, registered
from tests.worlds.parts import to_apply
from tests.worlds.selected import selected

if TYPE_CHECKING:
    from answerable.testing.fault_injection import Fault

pytestmark = pytest.mark.anyio


def thumbprint(key: str) -> str:
    return signing_key(key).public.thumbprint


def told(bench: Bench, index: int) -> dict[str, list[str]]:
    """What an entry says of people's keys, by name; each is named in its leaf by pseudonym."""
    leaf, fields = bench.opened(index)
    said: list[Any] = [value for name, value in fields.items() if name.startswith("signs_")]
    assert sorted(one["person"] for one in said) == sorted(map(str, _people(leaf)))
    assert all(one["person"] == pseudonym_of(bench.recorder, one["name"]) for one in said)
    return {one["name"]: one["keys"] for one in said}


def _people(leaf: dict[str, Any]) -> list[Any]:
    return list(leaf.get("people", ()))


def last_change(bench: Bench) -> dict[str, list[str]]:
    return told(bench, bench.entries(Tag.REGISTRY_CHANGE)[-1]["index"])


@pytest.mark.requirement("KEYS-01")
async def test_the_first_documents_name_everybody_who_signs():
    bench = await Bench().registered()
    signers = {
        str(name): [key.thumbprint for key in one.keys]
        for name, one in bench.authority.registry.current.principals.items()
    }
    assert last_change(bench) == {name: keys for name, keys in signers.items() if keys}
    leaf = str(bench.entries(Tag.REGISTRY_CHANGE)[0])
    assert not any(thumbprint(name) in leaf or f"'{name}'" in leaf for name in signers)


@pytest.mark.requirement("KEYS-01")
async def test_a_change_names_whose_keys_it_changes_and_nobody_else():
    bench = await registered()
    await apply_registry(*to_apply(bench.walk), [person("erin", "erin")], by="operator")
    assert last_change(bench) == {"erin": [thumbprint("erin")]}
    await apply_registry(*to_apply(bench.walk), [person("erin", "erin", "erin-2")], by="operator")
    assert last_change(bench) == {"erin": sorted([thumbprint("erin"), thumbprint("erin-2")])}
    await apply_registry(*to_apply(bench.walk), [person("erin", "erin-2")], by="operator")
    assert last_change(bench) == {"erin": [thumbprint("erin-2")]}
    await apply_registry(*to_apply(bench.walk), [person("erin", "erin-2", status="disabled")], by="operator")
    assert last_change(bench) == {"erin": []}
    await apply_registry(*to_apply(bench.walk), [person("erin", "erin-2")], by="operator")
    assert last_change(bench) == {"erin": [thumbprint("erin-2")]}
    await apply_registry(*to_apply(bench.walk), bench_documents(), by="operator", prune=True)
    assert last_change(bench)["erin"] == []


@pytest.mark.requirement("KEYS-01")
async def test_what_changes_nobodys_keys_names_nobody():
    bench = await registered(person("erin", "erin"))
    await apply_registry(*to_apply(bench.walk), [person("erin", "erin", displayName="Erin")], by="operator")
    leaf = bench.entries(Tag.REGISTRY_CHANGE)[-1]
    assert "people" not in leaf
    assert bench.entries(Tag.PEOPLES_KEYS) == []


@pytest.mark.requirement("KEYS-01")
async def test_who_loses_a_key_is_named_before_who_gets_it():
    """So no entry gives a key to somebody while it is still another one's."""
    bench = await registered(person("zoe", "shared"))
    await apply_registry(
        *to_apply(bench.walk), [person("zoe", "zoe"), person("abe", "shared")], by="operator"
    )
    assert [*last_change(bench)] == ["zoe", "abe"]


@pytest.mark.requirement("KEYS-02")
async def test_an_answer_refers_to_the_entry_that_named_the_key():
    bench = await registered()
    await answered(bench)
    (change,), (answer,) = bench.entries(Tag.REGISTRY_CHANGE), bench.entries(Tag.APPROVAL_ANSWER)
    assert answer["keys_ref"] == {
        "entry": change["index"],
        "leaf": bench.recorder.ledger.entry(change["index"]).leaf_hash.hex(),
    }
    assert bench.entries(Tag.PEOPLES_KEYS) == []


@pytest.mark.requirement("KEYS-02")
async def test_a_log_that_does_not_say_whose_key_it_is_says_so_once_before_the_first_answer():
    """As after a restart, or an upgrade from a version that named no keys."""
    bench = await registered()
    bench.recorder.keys_named.clear()
    await answered(bench)
    await answered(bench, amount=6001)
    (named,) = bench.entries(Tag.PEOPLES_KEYS)
    assert told(bench, named["index"]) == {"bob": [thumbprint("bob")]}
    assert named["registry"] == bench.authority.registry.current.digest
    refers: list[Any] = [one["keys_ref"] for one in bench.entries(Tag.APPROVAL_ANSWER)]
    assert [one["entry"] for one in refers] == [named["index"]] * 2


@pytest.mark.requirement("KEYS-02")
async def test_a_person_is_named_anew_whose_pseudonym_is_another():
    """As after their data was erased: what the log has of before is about nobody any more."""
    bench = await registered()
    await key_on_record(
        bench.recorder, bench.authority.registry, bench.asking.under_way, "bob", thumbprint("bob")
    )
    assert bench.entries(Tag.PEOPLES_KEYS) == []
    bench.recorder.pseudonyms["bob"] = "f" * 64
    await key_on_record(
        bench.recorder, bench.authority.registry, bench.asking.under_way, "bob", thumbprint("bob")
    )
    (named,) = bench.entries(Tag.PEOPLES_KEYS)
    assert named["people"] == ["f" * 64]


@pytest.mark.requirement("KEYS-02")
async def test_nothing_counts_that_a_key_signed_which_was_taken_away_meanwhile():
    bench = await registered(person("erin", "erin"))
    bench.recorder.keys_named.clear()
    codes: list[str] = []

    async def sign() -> None:
        try:
            await key_on_record(
                bench.recorder, bench.authority.registry, bench.asking.under_way, "erin", thumbprint("erin")
            )
        except Refused as refused:
            codes.append(refused.code)

    async with anyio.create_task_group() as tasks, bench.asking.under_way.applying:
        tasks.start_soon(sign)
        await anyio.wait_all_tasks_blocked()
        bench.authority.registry.put(
            {k: v for k, v in bench.authority.registry.documents().items() if k != "Principal/erin"}
        )
    assert codes == ["registry.changed_meanwhile"]
    assert bench.entries(Tag.PEOPLES_KEYS) == []
    with pytest.raises(Refused) as caught:
        await key_on_record(
            bench.recorder, bench.authority.registry, bench.asking.under_way, "erin", thumbprint("erin")
        )
    assert caught.value.code == "registry.changed_meanwhile"


@pytest.mark.requirement("KEYS-02")
async def test_of_no_more_people_than_a_limit_is_it_kept_where_they_were_named():
    bench = await registered()
    one = next(iter(bench.recorder.keys_named.values()))
    for number in range(NAMED_MAX - len(bench.recorder.keys_named)):
        bench.recorder.keys_named[f"x{number}"] = one
    await apply_registry(*to_apply(bench.walk), [person("erin", "erin")], by="operator")
    assert [*bench.recorder.keys_named] == ["erin"]


@pytest.mark.requirement("KEYS-05")
async def test_evidence_of_an_action_takes_along_who_signs_with_what_and_nobody_else():
    bench = await registered(person("erin", "erin"))
    await answered(bench)
    assert (await bench.refund(6000)).outcome is not None
    await apply_registry(*to_apply(bench.walk), [person("bob", "bob-2")], by="operator")
    (intent,) = bench.entries(Tag.INTENT)
    picked = {*selected(bench.recorder.ledger.replay(), action=str(intent["action"]))}
    first, erins, later = [one["index"] for one in bench.entries(Tag.REGISTRY_CHANGE)]
    assert first in picked
    assert not {erins, later} & picked, "of somebody else, and of after the answer"


@pytest.mark.requirement("KEYS-01")
async def test_an_agents_key_is_nobodys_who_signs():
    bench = await registered()
    rover = document(
        "Agent",
        "walker",
        {
            "useCase": "support",
            "environment": "production",
            "keys": [parse(signing_key("walker").public.jwk.encode())],
            "ownership": {"owner": "alice", "backupOwner": "bob"},
        },
    )
    await apply_registry(*to_apply(bench.walk), [rover], by="operator")
    assert "people" not in bench.entries(Tag.REGISTRY_CHANGE)[-1]


@pytest.mark.requirement("KEYS-02")
@pytest.mark.parametrize("fault", ["full", "undone", "done", "crash_before", "crash_after"])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_what_does_not_name_everybody_is_not_in_force_and_who_signs_is_named_as_is(
    fault: Fault, at: int
):
    """Eighty people at once stand in three entries. What was said of bob in one of them did not come into force."""
    bench = await registered()
    people = [person(f"p{number:03}", f"p{number:03}") for number in range(79)]
    numbers, raw = iter(range(10)), bench.recorder.ledger
    trouble = Trouble(lambda _n, method: fault if "submit" in method and next(numbers) == at else None)
    bench.recorder.ledger = TroubledLedger(raw, trouble)
    before = bench.authority.registry.current.digest
    with pytest.raises((Unavailable, Crash)):
        await apply_registry(*to_apply(bench.walk), [person("bob", "bob", "bob-2"), *people], by="operator")
    assert bench.authority.registry.current.digest == before
    bench.recorder.ledger = raw
    if fault.startswith("crash"):
        bench.recorder.keys_named.clear()
    await answered(bench)
    (answer,) = bench.entries(Tag.APPROVAL_ANSWER)
    reference: Any = answer["keys_ref"]
    assert told(bench, reference["entry"])["bob"] == [thumbprint("bob")]
    rules, shown, unread = found(bench)
    assert (rules, shown + unread) == ([], 1)


@pytest.mark.requirement("KEYS-03")
@pytest.mark.parametrize("fault", ["undone", "done"])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_an_answer_after_a_change_that_did_not_come_into_force_is_never_taken_for_a_forgery(
    fault: Fault, at: int
):
    """What takes bob's key away, and those of many others, could not be put down, or was and nobody knows."""
    people = [f"p{number:03}" for number in range(79)]
    bench = await registered(*[person(name, name) for name in people])
    for signer in ("bob", "p078"):
        await key_on_record(
            bench.recorder, bench.authority.registry, bench.asking.under_way, signer, thumbprint(signer)
        )
    numbers, raw = iter(range(10)), bench.recorder.ledger
    trouble = Trouble(lambda _n, method: fault if "submit" in method and next(numbers) == at else None)
    bench.recorder.ledger = TroubledLedger(raw, trouble)
    others = [person(name, f"{name}-2") for name in people]
    with pytest.raises(Unavailable):
        await apply_registry(*to_apply(bench.walk), [person("bob", "bob-2"), *others], by="operator")
    bench.recorder.ledger = raw
    bench.clock.advance(LATER)
    await answered(bench)
    await answered(bench, by="p078", amount=6001)
    rules, shown, unread = found(bench)
    assert (rules, shown + unread) == ([], 2)


@pytest.mark.requirement("KEYS-01")
async def test_a_house_of_many_does_not_hold_up_everything_else_while_it_is_applied():
    """A key is made for each new person, on disk: an agent's call or a stop comes between any two of them."""
    bench = await registered()
    made: list[int] = []
    keys = bench.recorder.subject_keys

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(keys, name)

        def of(self, subject: str) -> Any:
            made[-1] += 1
            return keys.of(subject)

    bench.recorder.subject_keys = Counted()
    made.append(0)

    async def others() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            made.append(0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        people = [person(f"p{number:03}", f"p{number:03}") for number in range(79)]
        await apply_registry(*to_apply(bench.walk), people, by="operator")
        tasks.cancel_scope.cancel()
    assert sum(made) >= len(people)
    assert max(made) < 8


@pytest.mark.requirement("KEYS-01")
async def test_a_house_of_many_is_checked_aside(monkeypatch: pytest.MonkeyPatch):
    """It takes seconds; a stop does not wait for that."""
    bench = await registered()
    threads = set[int]()
    real = applying.decision_point_for

    def noting(*given: Any) -> Any:
        threads.add(threading.get_ident())
        return real(*given)

    monkeypatch.setattr(applying, "decision_point_for", noting)
    people = [document("Principal", f"p{number:03}", {"groups": ["approvers"]}) for number in range(500)]
    await apply_registry(*to_apply(bench.walk), people, by="operator")
    assert threads
    assert threading.get_ident() not in threads
