"""Registers that are no projections yet, written by another program while the server is down: what grants is not
believed, what was used stays used."""

from __future__ import annotations

import sqlite3
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.adapters.sqlite import (
    SqliteAuthorityRegister,
    SqliteDutyRegister,
    SqliteInstanceRegister,
    SqlitePasskeyRegister,
    SqliteProjections,
    SqliteStore,
)
from answerable.adapters.sqlite.instance_rows import body_of
from answerable.core.base64url import to_base64url
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.svid.authority import TrustLimits
from answerable.core.ledger.tags import Tag
from answerable.core.ledger.told_authorities import told_authorities
from answerable.core.mandate.hop_token import read_hop
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Unavailable
from answerable.flows.escalation.appoint_deputy import end_duty
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.recovery.project_ledger import CaughtUp, Log, catch_up, confirm
from answerable.flows.recovery.restore_ended_authority import restore_ended_authority
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
from answerable.flows.workloads.change_authorities import AuthorityChanges
from answerable.flows.workloads.enrol_workload import enrol, renew
from answerable.ports.instance_register import ALTERED
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh_keys
from tests.attack.test_recalled_revocations import copied, issued, listed, taken_away
from tests.worlds.enrolment import DOMAIN, enrolling, evidence_of, key_of
from tests.worlds.projection import Life, life, steps
from tests.worlds.token import TokenWorld, narrow, succeeded, token_world

__all__ = ["life"]
pytestmark = pytest.mark.anyio


def admitted(world: TokenWorld) -> list[Any]:
    return world.product.registers.rows("SELECT * FROM receivers ORDER BY 1, 2, 3")


def by_hand(place: Path, *statements: str) -> None:
    with closing(sqlite3.connect(place / "answerable.db")) as other:
        for one in statements:
            assert other.execute(one).rowcount > 0, one
        other.commit()


@pytest.mark.requirement("PROJECT-30")
async def test_receivers_of_a_mandate_count_over_an_older_copy_and_over_rows_written_by_hand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    place, copy = tmp_path / "house", tmp_path / "copy"
    async with token_world(tmp_path) as world:
        port = int(world.url.rpartition(":")[2])
        await world.mandate()
    copied(place, copy)
    async with token_world(tmp_path, port=port) as world:
        root = await world.root()
        handed = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        assert succeeded(await world.call("researcher", chain=(root, handed)))
        before = admitted(world)
        assert before == [("m-1", "orchestrator", "researcher")]
    taken_away(place)
    copied(copy, place)
    async with token_world(tmp_path, port=port) as world:
        assert admitted(world) == before
    by_hand(place, "DELETE FROM receivers", "INSERT INTO receivers VALUES ('m-1', 'orchestrator', 'writer')")
    caplog.clear()
    async with token_world(tmp_path, port=port) as world:
        assert admitted(world) == before
        assert "changed by another program: receivers were restored from the ledger" in caplog.text
    caplog.clear()
    async with token_world(tmp_path, port=port):
        assert "changed by another program" not in caplog.text


@pytest.mark.requirement("PROJECT-30")
async def test_tokens_that_ended_and_are_valid_by_hand_have_ended_again(tmp_path: Path):
    async with token_world(tmp_path) as world:
        port = int(world.url.rpartition(":")[2])
        await world.mandate()
        tokens, others = await issued(world), await issued(world)
        known = [world.walk.live.tokens.find(read_hop(one).jti) for one in (*tokens, *others)]
        consent = read_hop(others[1]).raw.claims["answerable_consent"]
        assert isinstance(consent, dict)
        for kind, name in (("token", read_hop(tokens[1]).jti), ("hop", str(consent["hash"]))):
            what = RevocationTarget(kind, name)
            await revoke_authority(
                world.walk.recorder, world.walk.authority, world.walk.live, what, by="operator"
            )
        valid = [await listed(world, one) for one in (*tokens, *others)]
        assert valid == [True, False, False] * 2
    by_hand(tmp_path / "house", "UPDATE tokens SET ended = 0", "DELETE FROM token_names")
    async with token_world(tmp_path, port=port) as world:
        assert [await listed(world, one) for one in (*tokens, *others)] == valid
        assert [world.walk.live.tokens.find(read_hop(one).jti) for one in (*tokens, *others)] == known


@pytest.mark.requirement("PROJECT-31")
async def test_an_instance_whose_row_others_wrote_ends_and_its_neighbour_lives(tmp_path: Path):
    bench, workloads = await enrolling()
    path = tmp_path / "live.db"
    with closing(SqliteStore.open(path)) as store:
        workloads.instances = SqliteInstanceRegister(store)
        kept, changed, gone = [
            await enrol(workloads, evidence=evidence_of(), key=key_of(name))
            for name in ("one", "two", "three")
        ]
        bench.clock.advance(workloads.limits.instance_seconds * 0.6)
        kept = await renew(workloads, kept.id)
        await end_instance(workloads, gone.id, because="revoked")
    forged = replace(kept, id=spiffe_id(f"{kept.id}0"), key=key_of("thief"))
    with closing(sqlite3.connect(path)) as other:
        update = (
            "UPDATE instances SET body = ?, state = 'live', because = '', change = change + 10 WHERE id = ?"
        )
        for one in (replace(changed, key=key_of("other")), gone):
            other.execute(update, (body_of(one), str(one.id)))
        insert = (
            "INSERT INTO instances (id, key, parent, state, because, expires_at, body, change, recorded, told) "
            "VALUES (?, 'thief', '', 'live', '', ?, ?, 30, 0, '')"
        )
        other.execute(insert, (str(forged.id), forged.expires_at, body_of(forged)))
        other.commit()
    with closing(SqliteStore.open(path)) as store:
        again = replace(workloads, instances=SqliteInstanceRegister(store))
        assert len([*again.instances.live()]) == 4
        changes = AuthorityChanges(bench.walk.recorder, workloads.trust)
        await restore_ended_authority(again, changes, since=0, suspect=["holds"])
        assert {one.id for one in again.instances.live()} == {kept.id, changed.id, forged.id}
        done = await restore_ended_authority(again, changes, since=0, suspect=["instances"])
        assert done.ends == 2
        assert [*again.instances.live()] == [kept]
        ended = {leaf["instance"] for leaf in bench.entries(Tag.WORKLOAD_ENDED) if leaf["because"] == ALTERED}
        assert ended == {str(changed.id), str(forged.id)}
        assert again.instances.find(gone.id) is None or again.instances.find(gone.id).state == "ended"
        back = await enrol(again, evidence=evidence_of(), key=key_of("four"))
        assert back.state == "live"


def full(*_: object, **__: object) -> bool:
    """What happens to a write while the disk is full."""
    raise Unavailable("full", code="register.unavailable", port="registers")


@pytest.mark.requirement("PROJECT-34")
async def test_what_is_removed_on_record_is_removed_though_its_row_could_not_be_written_then(
    life: Life, monkeypatch: pytest.MonkeyPatch
):
    bench, find = life.bench, life.bench.recorder.subject_keys.find
    async with aclosing(steps(life)) as lived:
        async for _ in lived:
            bench.clock.advance(1)
    passkeys, duties = bench.asking.passkeys, bench.asking.duties
    assert passkeys is not None
    assert duties.register is not None
    registers = SqliteProjections(life.store, life.root / "live.db")
    catch_up(registers, [life.log], find)
    (passkey,), (deputy,) = passkeys.register.all(), duties.register.delegations()
    monkeypatch.setattr(passkeys.register, "remove", full)
    monkeypatch.setattr(duties.register, "end", full)
    with pytest.raises(Unavailable):
        await remove_passkey(bench.recorder, passkeys, to_base64url(passkey.id), by="operator")
    with pytest.raises(Unavailable):
        await end_duty(bench.recorder, duties, deputy.id, by="bob")
    # There is space again, and what is counted of the log is stored, past both.
    bench.authority.mandates.keep_used(life.log.origin, {}, bench.recorder.ledger.size)
    assert not confirm(registers, life.log, find)
    assert catch_up(registers, [life.log], find).rows == {"duty_delegations": 1, "passkeys": 1}
    assert [*SqlitePasskeyRegister(life.store).all()] == []
    assert [*SqliteDutyRegister(life.store).delegations()] == []
    assert confirm(registers, life.log, find)


def trust_domain_in(
    path: Path, bench: Bench, keys: LocalAuthorityKeys
) -> tuple[SqliteStore, SqliteAuthorityRegister, TrustDomainState]:
    """A trust domain on that file, open."""
    store = SqliteStore.open(path)
    register = SqliteAuthorityRegister(store)
    desk = TrustDomainState(
        domain=DOMAIN, keys=keys, register=register, clock=bench.clock,
        entropy=bench.walk.entropy, limits=TrustLimits(),
    )  # fmt: skip
    desk.open()
    return store, register, desk


@pytest.mark.requirement("PROJECT-33")
async def test_over_an_older_copy_a_replaced_authority_signs_nothing_and_the_domain_opens(tmp_path: Path):
    bench, _ = await enrolling()
    keys, path, copy = fresh_keys(LocalAuthorityKeys), tmp_path / "live.db", tmp_path / "copy.db"
    log = Log(bench.recorder.ledger.origin, bench.recorder.ledger.replay)

    def caught_up(store: SqliteStore, path: Path) -> CaughtUp:
        return catch_up(SqliteProjections(store, path), [log], bench.recorder.subject_keys.find)

    store, register, desk = trust_domain_in(path, bench, keys)
    with closing(store):
        changes = AuthorityChanges(bench.walk.recorder, desk)
        await changes.tend()
        first = desk.authorities()[0].id
        assert "authorities" not in caught_up(store, path).rows
        with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(copy)) as kept:
            live.backup(kept)
        bench.clock.advance(1)
        await changes.rotate(activate=True)
        second = desk.authorities()[1].id
        await changes.tend()
        await changes.remove(first)
        before = register.read()
        assert before is not None
        assert "authorities" not in caught_up(store, path).rows, "what lives is as the entries say"
    with closing(SqliteStore.open(copy)) as older:
        assert caught_up(older, copy).rows["authorities"] == 1
        assert not caught_up(older, copy).rows
        found = SqliteAuthorityRegister(older).read()
        assert found is not None
        assert [(one.id, one.state) for one in found.authorities] == [(first, "removed")]
        assert found.sequence == before.sequence
    older, register, desk = trust_domain_in(copy, bench, keys)
    with closing(older):
        after = register.read()
        assert after is not None
        assert after.sequence > before.sequence
        assert after.active is not None
        assert after.active.id not in (first, second)
        assert not [one for one in desk.authorities() if one.id == first and one.is_published]


@pytest.mark.requirement("PROJECT-32")
async def test_an_authority_that_others_wrote_is_removed_or_as_the_ledger_says(tmp_path: Path):
    bench, _ = await enrolling()
    store, register, desk = trust_domain_in(tmp_path / "live.db", bench, fresh_keys(LocalAuthorityKeys))
    thief_store, _, thief = trust_domain_in(tmp_path / "thief.db", bench, fresh_keys(LocalAuthorityKeys))
    thief_store.close()
    with closing(store):
        changes = AuthorityChanges(bench.walk.recorder, desk)
        first = desk.authorities()[0]
        await changes.rotate(activate=True)
        await changes.remove(first.id)
        before = register.read()
        assert before is not None
        assert [one.state for one in before.authorities] == ["removed", "active"]

        def told() -> Any:
            return told_authorities(bench.recorder.ledger.replay())

        assert register.mend(told, now=bench.clock.now(), altered=True).made == []
        assert register.read() == before
        columns = "certificate, jwt_kid, jwt_jwk, wit_kid, wit_jwk"
        with closing(sqlite3.connect(tmp_path / "live.db")) as other:
            other.execute("ATTACH ? AS thief", (str(tmp_path / "thief.db"),))
            other.execute("UPDATE authorities SET state = 'old' WHERE state = 'removed'")
            other.execute(
                f"UPDATE authorities SET ({columns}) = (SELECT {columns} FROM thief.authorities) "
                "WHERE state = 'active'"
            )
            other.execute(
                f"INSERT INTO authorities SELECT 9, id, 'old', {columns}, not_before, not_after, prepared_at, since "
                "FROM thief.authorities"
            )
            other.execute("UPDATE trust_domain SET sequence = 0")
            other.commit()
        done = register.mend(told, now=bench.clock.now(), altered=True)
        assert done.dropped == [thief.authorities()[0].id]
        assert {*done.made} == {one.id for one in before.authorities} | {"the sequence of its bundle"}
        after = register.read()
        assert after is not None
        assert after.sequence == before.sequence
        own = {"since": 0, "prepared_at": 0}
        assert [replace(one, **own) for one in after.authorities] == [
            replace(one, **own) for one in before.authorities
        ]
