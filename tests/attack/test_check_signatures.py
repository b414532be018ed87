"""Whose key file signed a mandate, a lift, a manifest, the definition of a tool, and a change of policy sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from answerable.core.canonical import encode, parse
from answerable.core.containment.hold import HoldTarget
from answerable.core.identity.keys.compact_jws import read_compact, signed_statement
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.errors.codes.identity import STATEMENT_MALFORMED
from answerable.flows.recording.record_entry import pseudonym_of
from answerable.flows.workloads.register_manifest import register_manifest
from answerable.testing.builders import Bench
from answerable.testing.contracts.manifest_register import sample_signed
from answerable.testing.samples import signing_key
from answerable.verify.check_keys import ShownKeys
from answerable.verify.check_signatures import ShownSigned
from answerable.verify.citations import Citations
from answerable.verify.leaf_rules import Fault, read_leaf
from answerable.verify.leaf_shapes import MandateLeaf
from tests.worlds.hold import lift, stop
from tests.worlds.keys import found
from tests.worlds.publication import guarded, propose, publish, roll_back
from tests.worlds.tool import approve_offered, describing

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("KEYS-06")]
NAMING = (Tag.REGISTRY_CHANGE, Tag.PEOPLES_KEYS)


async def lifted() -> Bench:
    """A hold that bob lifted."""
    bench = await Bench().registered()
    placed = await stop(bench, HoldTarget("agent", "scout"), by="alice")
    await lift(bench, placed.hold, "bob")
    return bench


async def with_manifest() -> Bench:
    """An agent whose manifest alice signed."""
    bench = await Bench().registered()
    await register_manifest(
        bench.recorder,
        bench.authority,
        bench.asking.under_way,
        bench.live,
        sample_signed().token,
        by="operator",
    )
    return bench


async def with_tool() -> Bench:
    """A tool that alice said yes to."""
    bench = await Bench().registered()
    describing(bench)
    await approve_offered(bench.walk, "crm", "get_case")
    return bench


async def published() -> Bench:
    """Policy sets that alice proposed, bob published and bob took back."""
    bench = await guarded()
    await publish(bench, await propose(bench))
    await roll_back(bench)
    return bench


async def with_mandate() -> Bench:
    """A mandate that alice signed."""
    bench = await Bench().registered()
    await bench.issue()
    return bench


CASES: dict[str, tuple[Any, Tag, str, str]] = {
    "mandate": (with_mandate, Tag.MANDATE_ISSUED, "token", "alice"),
    "lift": (lifted, Tag.HOLD_LIFTED, "token", "bob"),
    "manifest": (with_manifest, Tag.MANIFEST_REGISTERED, "token", "alice"),
    "tool": (with_tool, Tag.TOOL_PINNED, "token", "alice"),
    "proposal": (published, Tag.POLICY_PROPOSED, "step", "alice"),
    "publication": (published, Tag.POLICY_CHANGE, "step", "bob"),
}
EACH = pytest.mark.parametrize("what", CASES)


def signed_anew(
    bench: Bench, tag: Tag, field: str, key: str, **claims: Any
) -> Callable[[int, str, Any], Any]:
    """What an insider makes of it: signed with another key file, or with other claims."""

    def change(index: int, name: str, value: Any) -> Any:
        if bench.recorder.ledger.entry(index).tag != tag:
            return value
        if name == "signer":
            return signing_key(key).public.jwk
        if name != field:
            return value
        jws = read_compact(value, malformed=STATEMENT_MALFORMED)
        said: Any = parse(jws.payload)
        return signed_statement({**said, **claims}, typ=jws.header["typ"], key=signing_key(key))

    return change


@EACH
async def test_what_its_person_signed_is_shown_to_be(what):
    make, tag, _, _ = CASES[what]
    bench = await make()
    rules, shown, unread = found(bench, about=(*NAMING, tag))
    assert (rules, unread) == ([], 0)
    assert shown >= 1


@EACH
async def test_what_was_signed_with_another_ones_key_is_found(what):
    make, tag, field, _ = CASES[what]
    bench = await make()
    forged = signed_anew(bench, tag, field, "carol")
    assert set(found(bench, about=(*NAMING, tag), field_change=forged)[0]) - {"signed.other"} == {
        "keys.other"
    }


@EACH
async def test_what_is_signed_in_another_ones_name_is_found(what):
    make, tag, field, by = CASES[what]
    bench = await make()
    forged = signed_anew(bench, tag, field, by, iss="carol")
    assert {"signed.person", "keys.person"} <= set(found(bench, about=(*NAMING, tag), field_change=forged)[0])


@EACH
async def test_an_entry_that_says_something_else_than_was_signed_is_found(what):
    make, tag, field, by = CASES[what]
    bench = await make()
    other = {
        "mandate": {"sub": "rover"},
        "lift": {"hold": "hold_" + "x" * 22},
        "manifest": {"sub": "rover"},
        "tool": {"definition": "0" * 64},
        "proposal": {"after": "0" * 64},
        "publication": {"proposal": "another"},
    }[what]
    forged = signed_anew(bench, tag, field, by, **other)
    assert "signed.other" in found(bench, about=(*NAMING, tag), field_change=forged)[0]


@EACH
async def test_what_has_no_key_beside_it_is_counted(what):
    """As in entries from before, and where it is hidden."""
    make, tag, _, _ = CASES[what]
    bench = await make()

    def hidden(_index: int, name: str, value: Any) -> Any:
        return None if name == "signer" else value

    rules, shown, unread = found(bench, about=(*NAMING, tag), field_change=hidden)
    assert (rules, shown) == ([], 0)
    assert unread >= 1


async def test_a_manifest_of_which_something_was_changed_is_found():
    bench = await with_manifest()
    (stored,) = [one for one in bench.recorder.ledger.replay() if one.tag == Tag.MANIFEST_REGISTERED]
    token = next(
        one for one in disclosures_of(stored, bench.recorder.subject_keys.find) or () if one.name == "token"
    )
    said: Any = parse(read_compact(str(parse(bytes(token.value))), malformed=STATEMENT_MALFORMED).payload)
    other = {**said["manifest"], "model_name": "another"}
    forged = signed_anew(bench, Tag.MANIFEST_REGISTERED, "token", "alice", manifest=other)
    rules = found(bench, about=(*NAMING, Tag.MANIFEST_REGISTERED), field_change=forged)[0]
    assert rules == ["signed.other"]


async def test_a_lift_that_names_another_key_than_signed_it_is_found():
    bench = await lifted()

    def named(_index: int, leaf: Any) -> Any:
        if leaf.tag != Tag.HOLD_LIFTED:
            return leaf
        return msgspec.structs.replace(leaf, key=signing_key("carol").public.thumbprint)

    assert found(bench, about=(*NAMING, Tag.HOLD_LIFTED), leaf_change=named)[0] == ["signed.other"]


@EACH
async def test_it_refers_to_an_entry_that_names_keys_and_to_nothing_else(what):
    make, tag, _, by = CASES[what]
    bench = await make()
    assert references(bench, tag, None) == []
    assert set(references(bench, tag, 0)) == {"reference.missing"}
    assert pseudonym_of(bench.recorder, by) in str(bench.entries(tag)[-1])


def references(bench: Bench, tag: Tag, entry: int | None) -> list[str]:
    """What is wrong with what entries refer to. entry: to which those of this tag are made to refer."""
    check, rules = Citations(), []
    for stored in bench.recorder.ledger.replay():
        leaf: Any = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        if leaf.tag == tag and entry is not None and leaf.keys_ref is not msgspec.UNSET:
            leaf.keys_ref = msgspec.structs.replace(leaf.keys_ref, entry=entry)
        fault = check.fault(stored.index, leaf, stored.leaf_hash)
        rules += [fault.rule] if fault is not None else []
    return rules


@pytest.mark.parametrize(
    ("issuer", "application", "unread"), [("alice", "", 1), ("schedule:nightly", "", 0), ("alice", "desk", 0)]
)
def test_a_mandate_that_no_person_signed_is_held_against_nobodys_keys(issuer, application, unread):
    token = signed_statement({"iss": issuer}, typ="answerable-mandate+jwt", key=signing_key("desk"))
    leaf = MandateLeaf(
        v=2,
        tag=Tag.MANDATE_ISSUED,
        at=1,
        mandate="m-1",
        agent="scout",
        principal="0" * 64,
        application=application or msgspec.UNSET,
    )
    check = ShownSigned(ShownKeys())
    check.take(1, leaf, {"token": encode(token)})
    assert ([*check.faults()], check.unread) == ([], unread)
