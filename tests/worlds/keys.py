"""People with key files, what they sign, and an insider who changes what the ledger says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.approval.approval import ApprovalId
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.disclosure import Disclosure
from answerable.core.ledger.opened import disclosures_of, leaf_of
from answerable.core.ledger.tags import Tag
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.approval.typed_names import name_wanted
from answerable.flows.ledger.assemble_evidence import assemble_evidence
from answerable.flows.registry.apply_registry import apply_registry
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import Bench, nonce_for
from answerable.testing.samples import AUDIENCE, document, signing_key
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.leaf_rules import Fault, read_leaf
from answerable.verify.leaf_types import Reference
from tests.worlds.parts import to_apply
from tests.worlds.selected import selected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ABOUT = (Tag.REGISTRY_CHANGE, Tag.PEOPLES_KEYS, Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.INTENT)
LATER = 20
"""Seconds after which nothing is on its way any more."""


def person(name: str, *keys: str, **spec: Any) -> dict[str, Any]:
    """An approver who signs with keys of these names."""
    jwks = [parse(signing_key(key).public.jwk.encode()) for key in keys]
    return document("Principal", name, {"groups": ["approvers"], "keys": jwks, **spec})


async def registered(*people: dict[str, Any]) -> Bench:
    """A bench with a mandate, and these people beside or instead of those who are there."""
    bench = await Bench().registered()
    if people:
        await apply_registry(*to_apply(bench.walk), [*people], by="operator")
    await bench.issue()
    return bench


async def answered(bench: Bench, *, by: str = "bob", key: str = "", amount: int = 6000) -> None:
    """A refund that somebody says yes to, with the key of this name."""
    asked = (await bench.refund(amount)).approval
    assert asked is not None
    token = signed_answer(
        asked,
        nonce=nonce_for(bench.asking.openings, bench.clock, bench.walk.entropy, asked),
        by=PrincipalId(by),
        verdict="approve",
        comment="",
        audience=AUDIENCE,
        at=bench.clock.now(),
        key=signing_key(key or by),
    )
    await answer_approval(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        asked.id,
        token,
        typed=name_wanted(bench.authority.registry, asked),
    )


async def answered_and_ran() -> Bench:
    """A refund that bob said yes to, and that ran."""
    bench = await registered()
    await answered(bench)
    assert (await bench.refund(6000)).outcome is not None
    return bench


def found(
    bench: Bench,
    *,
    leaf_change: Callable[[int, Any], Any] = lambda _index, leaf: leaf,
    field_change: Callable[[int, str, Any], Any] = lambda _index, _name, value: value,
    about: tuple[Tag, ...] = ABOUT,
) -> tuple[list[str], int, int]:
    """The rules that are broken; how many signatures are shown to be by their person's key, and of how many nobody can
    say. A change gives another leaf, or another value of a field, or None to hide it."""
    check = ShownAnswers()
    for stored in bench.recorder.ledger.replay():
        if stored.tag not in about:
            continue
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        fields: list[Disclosure] = []
        for one in disclosures_of(stored, bench.recorder.subject_keys.find) or ():
            value = field_change(stored.index, one.name, parse(bytes(one.value)))
            if value is not None:
                fields.append(msgspec.structs.replace(one, value=msgspec.Raw(encode(value))))
        check.take(stored.index, leaf_change(stored.index, leaf), fields)
    rules = [fault.rule for _, fault in check.faults()]
    return rules, check.keys_shown, check.keys_unread


def signed_by(
    bench: Bench, key: str, *, name: str = "bob", at: int | None = None
) -> Callable[[int, str, Any], Any]:
    """As an insider has it who signs answers of the ledger anew, with a key file that is at hand. at: the entry of the
    only one that is signed anew; all are where it is None."""

    def change(index: int, field: str, value: Any) -> Any:
        stored = bench.recorder.ledger.entry(index)
        if stored.tag != Tag.APPROVAL_ANSWER or at not in (None, index):
            return value
        asked = bench.authority.approvals.find(ApprovalId(str(leaf_of(stored)["approval"])))
        assert asked is not None
        token = signed_answer(
            asked,
            nonce=b"n" * 32,
            by=PrincipalId(name),
            verdict="approve",
            comment="",
            audience=AUDIENCE,
            at=bench.clock.now(),
            key=signing_key(key),
        )
        made = {"signer": signing_key(key).public.jwk, "person_name": name, "token": token}
        return made.get(field, value)

    return change


def index_of(bench: Bench, tag: Tag, which: int = -1) -> int:
    """The entry of this tag, the last where nothing else is said."""
    return [one.index for one in bench.recorder.ledger.replay() if one.tag == tag][which]


def reference(bench: Bench, index: int) -> Reference:
    """To an entry."""
    return Reference(entry=index, leaf=bench.recorder.ledger.entry(index).leaf_hash.hex())


async def many_people(count: int) -> Bench:
    """A bench to whose documents more people come at once than one entry names; the last of them has answered."""
    bench = await registered(*[person(f"p{number:03}", f"p{number:03}") for number in range(count)])
    await answered(bench, by=f"p{count - 1:03}")
    return bench


def bundle_of(bench: Bench, place: Path, reveal: tuple[str, ...], indexes: tuple[int, ...] = ()) -> bytes:
    """These entries, or all that is about the mandate, from a log at this place."""
    entries = [*bench.recorder.ledger.replay()]
    return assemble_evidence(
        indexes or selected(entries, mandate="m-1"),
        replay=False,
        reveal=reveal,
        entry=entries.__getitem__,
        published=PublishedFiles(place),
        find=bench.recorder.subject_keys.find,
        policy="",
    ).bundle
