"""One row that cannot be read puts only itself out of use: what it is about fails closed, its neighbours go on."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteDutyRegister,
    SqliteHoldRegister,
    SqliteInstanceRegister,
    SqliteMandateRegister,
    SqliteManifestRegister,
    SqlitePasskeyRegister,
    SqliteRevocationRegister,
    SqliteStore,
    SqliteToolPinRegister,
)
from answerable.core.containment.hold import HoldId, holdable
from answerable.core.mandate.budget import ONE_CALL
from answerable.core.mandate.mandate import MandateId, account_of
from answerable.core.mandate.revocation import revocable
from answerable.testing.clock import START, ManualClock
from answerable.testing.contracts.approval_register import LATER, approved
from answerable.testing.contracts.duty_register import sample_delegation
from answerable.testing.contracts.hold_register import sample_hold
from answerable.testing.contracts.instance_register import instance
from answerable.testing.contracts.manifest_register import sample_manifest, sample_signed
from answerable.testing.contracts.passkey_register import sample_passkey
from answerable.testing.contracts.revocation_register import sample_revocation
from answerable.testing.contracts.tool_pins import sample_pin
from answerable.testing.samples import approval, mandate

pytestmark = pytest.mark.requirement("READBACK-03")
NOTHING: tuple[tuple[str, str], ...] = ()


def in_file(directory: Path) -> SqliteStore:
    """As another process opens it."""
    return SqliteStore.open(directory / "registers.db")


def damage(directory: Path, statement: str, file: str = "registers.db") -> None:
    connection = sqlite3.connect(directory / file)
    assert connection.execute(statement).rowcount == 1, statement
    connection.commit()
    connection.close()


def named(store: SqliteStore) -> tuple[tuple[str, str], ...]:
    """Kind and name of each row that is left out."""
    return tuple((row.what, row.name) for row in store.unreadable.looked_up())


def revocations(store: SqliteStore) -> SqliteRevocationRegister:
    return SqliteRevocationRegister(store, clock=ManualClock())


def holds(store: SqliteStore) -> SqliteHoldRegister:
    return SqliteHoldRegister(store, revocations(store))


FIRST, SECOND = approval("a-1", amount=1), approval("a-2", amount=2)


@pytest.mark.parametrize(
    "spoil",
    [
        "body = x'7b7d'",
        "body = x'00'",
        "body = CAST(replace(CAST(body AS TEXT), '\"created_at\":', '\"x\":') AS BLOB)",
        'body = CAST(replace(CAST(body AS TEXT), \'"action":"\', \'"action":"{\') AS BLOB)',
    ],
)
def test_an_approval_is_neither_answered_nor_used(tmp_path, spoil):
    register = SqliteApprovalRegister(in_file(tmp_path))
    for one in (FIRST, SECOND):
        register.add(one)
        assert register.replace(approved(one), was=one)
    damage(tmp_path, f"UPDATE approvals SET {spoil}, change = 9 WHERE id = 'a-1'")
    register._store.refresh()
    fresh = SqliteApprovalRegister(in_file(tmp_path))
    for each in (register, fresh):
        assert named(each._store) == (("approval", "a-1"),)
        assert [one.id for one in each.all(pending_only=False, now=LATER)] == ["a-2"]
        assert each.find(FIRST.id) is None
        assert each.matching(FIRST.agent, FIRST.mandate, FIRST.action.digest, LATER) is None
        assert not each.replace(replace(approved(FIRST), state="denied"), was=approved(FIRST))
        assert not each.use(FIRST.id, LATER)
    assert fresh.use(SECOND.id, LATER)


def test_a_mandate_is_refused_and_its_neighbour_spends(tmp_path):
    register = SqliteMandateRegister(in_file(tmp_path))
    for name in ("m-1", "m-2"):
        register.add(mandate(name))
    damage(tmp_path, "UPDATE mandates SET claims = x'7b7d' WHERE id = 'm-1'")
    fresh = SqliteMandateRegister(in_file(tmp_path))
    assert named(fresh._store) == (("mandate", "m-1"),)
    assert fresh.find(MandateId("m-1")) is None
    assert fresh.state(MandateId("m-1")) == "closed"
    assert fresh.reserve((account_of(mandate("m-1")),), ONE_CALL) is None
    assert fresh.reserve((account_of(mandate("m-2")),), ONE_CALL) == 1


@pytest.mark.parametrize("spoil", ["amount = -1", "account = CAST(x'6dff' AS TEXT)"])
def test_of_a_budget_nothing_counts_as_kept_so_that_the_ledger_is_counted_again(tmp_path, spoil):
    register = SqliteMandateRegister(in_file(tmp_path))
    register.keep_used("log", {"m-1": {"calls": 3}, "m-2": {"calls": 5}}, 17)
    register.keep_used("other", {"m-1": {"calls": 4}}, 9)
    damage(tmp_path, f"UPDATE budgets_used SET {spoil} WHERE origin = 'log' AND account = 'm-1'")
    fresh = SqliteMandateRegister(in_file(tmp_path))
    assert (fresh.used_up_to("log"), dict(fresh.kept_used("log"))) == (0, {})
    assert (fresh.used_up_to("other"), dict(fresh.kept_used("other"))) == (9, {"m-1": {"calls": 4}})
    assert [what for what, _ in named(fresh._store)] == ["budget of"]


HOLD_SPOILT = {
    "kind = 'nothing'": ("everything", ""),
    "name = 'no such name'": ("everything", ""),
    "name = CAST(x'41ff' AS TEXT)": ("everything", ""),
    "reason = char(10)": ("agent", "scout"),
    "source = 'x'": ("agent", "scout"),
    "agreed = x'5b315d'": ("agent", "scout"),
    "agreed = x'00'": ("agent", "scout"),
    "expires_at = 1": ("agent", "scout"),
    "id = 'hold_1'": ("agent", "scout"),
}


@pytest.mark.parametrize("spoil", HOLD_SPOILT)
def test_a_hold_holds_what_it_names_or_everything(tmp_path, spoil):
    register = holds(in_file(tmp_path))
    register.place(sample_hold())
    register.place(sample_hold(2, holdable("agent", "rover")))
    damage(tmp_path, f"UPDATE holds SET {spoil} WHERE id = '{sample_hold().id}'")
    fresh = holds(in_file(tmp_path))
    what = holdable(*HOLD_SPOILT[spoil])
    found = fresh.find((what,), START)
    assert found is not None
    assert fresh.find((holdable("agent", "rover"),), START) == sample_hold(2, holdable("agent", "rover"))
    assert {one.what for one in fresh.all()} == {what, holdable("agent", "rover")}
    assert [one for one, _ in named(fresh._store)] == ["hold"]


def test_a_start_writes_a_hold_anew_from_the_ledger_and_only_what_that_names_is_held(tmp_path):
    holds(in_file(tmp_path)).place(sample_hold())
    damage(tmp_path, "UPDATE holds SET kind = 'nothing'")
    fresh = holds(in_file(tmp_path))
    assert fresh.get(HoldId(sample_hold().id)) is None
    assert fresh.put_back([sample_hold()]) == 1
    assert fresh.find((holdable("everything", ""),), START) is None
    assert fresh.find((sample_hold().what,), START) == sample_hold()
    assert named(fresh._store) == NOTHING


@pytest.mark.parametrize("spoil", ["reason = char(10)", "kind = 'everything'", "at = -1, reason = char(10)"])
def test_a_revocation_ends_whatever_its_row_may_name(tmp_path, spoil):
    register = revocations(in_file(tmp_path))
    register.add_all([sample_revocation(), sample_revocation(name="rover")])
    damage(tmp_path, f"UPDATE revocations SET {spoil} WHERE name = 'scout'")
    fresh = revocations(in_file(tmp_path))
    assert fresh.find((revocable("agent", "scout"),)) is not None
    assert fresh.find((revocable("owner", "scout"),)) is not None
    assert fresh.find((revocable("agent", "rover"),)) == sample_revocation(name="rover")
    assert fresh.find((revocable("agent", "other"),)) is None
    assert [what for what, _ in named(fresh._store)] == ["revocation of"]


@pytest.mark.parametrize("spoil", ["name = 'no such name'", "name = CAST(x'41ff' AS TEXT)"])
def test_a_revocation_that_names_nobody_refuses_everybody_unless_the_ledger_has_it(tmp_path, spoil):
    register = revocations(in_file(tmp_path))
    register.add_all([sample_revocation(), sample_revocation(name="rover")])
    damage(tmp_path, f"UPDATE revocations SET {spoil} WHERE name = 'scout'")
    assert revocations(in_file(tmp_path)).find((revocable("agent", "other"),)) is not None
    damage(tmp_path, "UPDATE revocations SET recorded = 1 WHERE name <> 'rover'")
    fresh = revocations(in_file(tmp_path))
    assert fresh.find((revocable("agent", "other"),)) is None
    assert fresh.find((revocable("agent", "rover"),)) is not None
    assert [what for what, _ in named(fresh._store)] == ["revocation of"]


@pytest.mark.parametrize(
    "spoil",
    [
        "token = 'not a token'",
        "digest = 'ab'",
        "signed_at = signed_at + 1",
        f"token = '{mandate().token}'",
        f"token = '{sample_signed(sample_manifest(model='gpt-5')).token}'",
    ],
)
def test_an_agent_whose_manifest_cannot_be_read_is_not_one_without(tmp_path, spoil):
    register = SqliteManifestRegister(in_file(tmp_path))
    register.put(sample_signed())
    register.put(sample_signed(at=1))
    register.put(sample_signed(sample_manifest("rover")))
    damage(tmp_path, f"UPDATE manifests SET {spoil} WHERE number = 2")
    fresh = SqliteManifestRegister(in_file(tmp_path))
    scout = sample_manifest().agent
    assert (fresh.current(scout), fresh.is_unreadable(scout)) == (None, True)
    rover = sample_manifest("rover").agent
    assert fresh.current(rover) is not None
    assert not fresh.is_unreadable(rover)
    assert named(fresh._store) == (("manifest of", "scout"),)
    assert fresh.history(scout) == (sample_signed(),)
    fresh.put(sample_signed(at=9))
    assert (fresh.current(scout), fresh.is_unreadable(scout)) == (sample_signed(at=9), False)


@pytest.mark.parametrize("spoil", ["text = x'7b7d'", "definition = 'ab'", "signed_by = 'Not A Name'"])
def test_a_tool_whose_definition_cannot_be_read_is_not_a_new_one(tmp_path, spoil):
    register = SqliteToolPinRegister(in_file(tmp_path))
    register.put(sample_pin(), over="")
    register.put(sample_pin("Reads all", at=1), over=sample_pin().definition)
    register.put(sample_pin(tool="put_case"), over="")
    damage(tmp_path, f"UPDATE tool_pins SET {spoil} WHERE number = 2")
    fresh = SqliteToolPinRegister(in_file(tmp_path))
    assert (fresh.current("crm", "get_case"), fresh.is_unreadable("crm", "get_case")) == (None, True)
    assert fresh.all() == (sample_pin(tool="put_case"),)
    assert named(fresh._store) == (("definition of tool", "crm/get_case"),)
    assert fresh.history("crm", "get_case") == (sample_pin(),)
    fresh.put(sample_pin("Looked at", at=2), over="")
    assert not fresh.is_unreadable("crm", "get_case")


def test_an_instance_is_not_found_and_can_be_ended(tmp_path):
    register = SqliteInstanceRegister(in_file(tmp_path))
    for name in ("1", "2"):
        register.add(instance(name, process=f"p{name}"))
    damage(tmp_path, "UPDATE instances SET body = x'7b7d', change = 9 WHERE number = 1")
    fresh = SqliteInstanceRegister(in_file(tmp_path))
    assert fresh.find(instance("1").id) is None
    assert fresh.by_process("p1") is None
    assert [one.id for one in fresh.live()] == [instance("2").id]
    assert not fresh.put(instance("1", process="p1"))
    assert len(fresh.end_many([instance("1").id, instance("2").id], because="retired")) == 1
    assert fresh._store.rows("SELECT count(*) FROM instances WHERE state = 'live'") == [(0,)]
    assert named(fresh._store) == (("instance", str(instance("1").id)),)


@pytest.mark.parametrize("spoil", ["body = x'7b7d'", "body = x'00'", "body = x'5b5d'"])
def test_a_delegation_of_duty_is_not_in_force_and_the_ledger_can_bring_it_back(tmp_path, spoil):
    register = SqliteDutyRegister(in_file(tmp_path))
    for number in (0, 1):
        register.delegate(sample_delegation(number))
    damage(tmp_path, f"UPDATE duty_delegations SET {spoil} WHERE number = 1")
    fresh = SqliteDutyRegister(in_file(tmp_path))
    assert fresh.delegations() == (sample_delegation(1),)
    assert named(fresh._store) == (("delegation of duty", sample_delegation(0).id),)
    fresh.delegate(sample_delegation(0))
    assert set(fresh.delegations()) == {sample_delegation(0), sample_delegation(1)}
    assert named(fresh._store) == NOTHING


@pytest.mark.parametrize("spoil", ["body = x'7b7d'", "body = x'00'", "body = x'5b5d'"])
def test_a_passkey_signs_nobody_in_and_the_ledger_can_bring_it_back(tmp_path, spoil):
    register = SqlitePasskeyRegister(in_file(tmp_path))
    for seed in ("phone", "laptop"):
        register.add(sample_passkey(seed))
    damage(tmp_path, f"UPDATE passkeys SET {spoil} WHERE number = 1")
    fresh = SqlitePasskeyRegister(in_file(tmp_path))
    assert fresh.all() == (sample_passkey("laptop"),)
    assert named(fresh._store) == (("passkey", sample_passkey("phone").id.hex()),)
    fresh.add(sample_passkey("phone"))
    assert fresh.find(sample_passkey("phone").id) is not None
    assert named(fresh._store) == NOTHING


def test_what_is_mended_is_in_use_again_and_named_no_more(tmp_path):
    register = SqliteApprovalRegister(in_file(tmp_path))
    register.add(FIRST)
    kept = register._store.rows("SELECT body FROM approvals")[0][0]
    assert isinstance(kept, bytes)
    damage(tmp_path, "UPDATE approvals SET body = x'7b7d', change = 2")
    fresh = SqliteApprovalRegister(in_file(tmp_path))
    assert fresh.find(FIRST.id) is None
    damage(tmp_path, f"UPDATE approvals SET body = x'{kept.hex()}', change = 3")
    assert fresh._store.refresh()
    assert fresh.find(FIRST.id) == FIRST
    assert named(fresh._store) == NOTHING


def test_no_message_about_a_row_holds_what_stands_in_it(tmp_path, caplog):
    register = SqliteApprovalRegister(in_file(tmp_path))
    register.add(FIRST)
    damage(tmp_path, 'UPDATE approvals SET body = CAST(\'{"id":["secret"]}\' AS BLOB)')
    fresh = SqliteApprovalRegister(in_file(tmp_path))
    (row,) = fresh._store.unreadable.all()
    assert "secret" not in row.why + caplog.text
    assert "approval `a-1` cannot be read and is out of use" in caplog.text
