"""Prepared objects where several processes share the work, and where what is kept of one is not what it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from answerable.adapters.sqlite import SqlitePreparedRegister
from answerable.core.action.prepared import NO_CONTENT, PreparedText
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Refused
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.sdk.signing import signed_mandate
from answerable.testing.registers import fresh
from answerable.testing.samples import mandate_terms, signing_key
from answerable.testing.tool_pins import ApprovedAsSeen
from tests.worlds.link import A, door, link_of, sent, shard
from tests.worlds.parts import to_issue
from tests.worlds.prepared import (
    BATCH,
    GRANTS,
    LARGE,
    PreparingUpstream,
    digest,
    documents,
    execute,
    executed,
    prepared,
    prepared_bench,
    refused,
    structured,
)

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PREPARE-03")]


async def test_whichever_process_it_reaches_the_owner_of_the_mandate_keeps_and_executes_it(tmp_path):
    a = await shard("a").registered(documents())
    walk = a.walk
    upstream = PreparingUpstream(
        clock=a.clock, ledger=walk.recorder.ledger, subject_keys=walk.recorder.subject_keys
    )
    upstream.results, upstream.answer = [structured(BATCH)], upstream.said
    walk.verification.upstream = upstream
    walk.verification.pins = ApprovedAsSeen(walk.authority.registry, upstream)
    now = a.clock.now()
    terms = replace(
        mandate_terms(), grants=GRANTS, calls_max=20, not_before=now, expires_at=UnixMillis(now + 600_000)
    )
    await issue_mandate(*to_issue(walk), signed_mandate(terms, audience=A, key=signing_key("alice")))
    b = shard("b", a)
    b.walk.live.link = link_of(tmp_path / "links", "b")
    async with door(tmp_path / "links", "a", a):
        answer = await sent(b, "prepare_batch", {})
        assert answer.outcome is not None
        assert answer.outcome.prepared is not None
        assert answer.outcome.prepared["digest"] == digest(BATCH)
        assert b.walk.verification.prepared is not None
        assert b.walk.verification.prepared.named(terms.agent, digest(BATCH).removeprefix("sha256:")) == []
        done = await sent(b, "execute_batch", {"batch": digest(BATCH)})
        assert done.outcome is not None
        with pytest.raises(Refused) as raised:
            await sent(b, "execute_batch", {"batch": digest(BATCH)})
        assert raised.value.code == "prepared.used"
    assert len(executed(upstream)) == 1


async def test_what_is_asked_for_a_card_is_not_prepared_for_the_agent():
    other = {**LARGE, "batch_id": "PB-2"}
    found = documents(preview={"capability": "crm.prepare", "arguments": {}})
    for one in found:
        if one["metadata"]["name"] == "crm.prepare":
            one["spec"]["tier"] = 0
    register = fresh(SqlitePreparedRegister)
    limits = WalkLimits(prepared_waiting_per_agent_max=1)
    results = (structured(LARGE), structured(other))
    bench, upstream = await prepared_bench(*results, prepared=register, registry=found, limits=limits)
    named = await prepared(bench)
    asked = (await execute(bench, named)).approval
    assert "PB-2" in asked.card.bytes.decode(), "the server was asked"
    assert [one.digest for one in all_of(register)] == [named.removeprefix("sha256:")]
    await bench.answer(asked)
    await execute(bench, named)
    assert len(executed(upstream)) == 1


def all_of(register):
    return [
        register.get(str(row[0])) for row in register._store.rows("SELECT id FROM prepared ORDER BY number")
    ]


ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "made under another chain": ({"chain": ("planner",)}, "prepared.changed"),
    "made by another manifest": ({"manifest": "1" * 64}, "prepared.changed"),
    "made by another definition": ({"tool": "1" * 64}, "prepared.changed"),
    "made by another tool": ({"capability": "crm.read"}, "prepared.unknown"),
    "made on another server": ({"server": "erp"}, "prepared.unknown"),
    "of other bytes": ({"content": PreparedText(format="json", text="{}")}, "prepared.unknown"),
    "of no bytes": ({"content": NO_CONTENT}, "prepared.unknown"),
    "of another mandate": ({"mandate": "m-2"}, "prepared.other_mandate"),
    "of another agent": ({"agent": "rover"}, "prepared.unknown"),
    "used": ({"used_by": "a-1", "content": NO_CONTENT}, "prepared.used"),
}


@pytest.mark.parametrize("what", ROWS)
async def test_whatever_is_kept_otherwise_is_not_executed(what):
    changes, code = ROWS[what]
    register = fresh(SqlitePreparedRegister)
    bench, upstream = await prepared_bench(prepared=register)
    named = await prepared(bench)
    (kept,) = all_of(register)
    with register._store.write() as connection:
        connection.execute("DELETE FROM prepared")
    register.add(replace(kept, **changes), waiting_max=10)
    await refused(bench, named, code)
    assert not executed(upstream)


async def test_of_several_of_one_digest_the_one_that_waits_is_executed():
    register = fresh(SqlitePreparedRegister)
    bench, upstream = await prepared_bench(prepared=register)
    await execute(bench, await prepared(bench))
    await execute(bench, await prepared(bench))
    named = await prepared(bench)
    (kept,) = [one for one in all_of(register) if not one.used_by]
    # One that was used later than the one that waits was made does not hide it.
    register.add(replace(kept, id="later", used_by="a-1", content=NO_CONTENT), waiting_max=10)
    done = await execute(bench, named)
    assert register.get(kept.id).used_by == done.action_id
    assert len(executed(upstream)) == 3
