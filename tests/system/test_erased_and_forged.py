"""A person is taken out and their key destroyed, and registers from before that are put back: they stay out. A mandate
that nobody signed is in the files of the log: it is not in force."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite import SqliteSubjectKeys
from answerable.adapters.system import SystemEntropy
from answerable.core.canonical import parse
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.ledger.records import mandate_issued
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.core.mandate.token import signed
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.sdk.keyfile import create_key
from answerable.sdk.signing import signed_mandate
from answerable.testing.samples import document, signing_key
from answerable.wiring.assemble import assembled
from answerable.wiring.settings import load_settings
from tests.worlds.older import SOON, answered, copied, documents, notes, put_back, taken_away
from tests.worlds.up import House, house
from tests.worlds.workflow_tasks import MANDATE, give_task, noted

pytestmark = pytest.mark.anyio


def erased(home: House, person: str) -> str:
    """Their key is destroyed, as its owner does it by hand today; its id."""
    entropy = SystemEntropy()
    root = open_or_create_secret(home.data / "keys" / "subjects.key", count=32, entropy=entropy)
    keys = SqliteSubjectKeys.open(home.data / "subject-keys.db", root=root, entropy=entropy)
    identity = keys.of(principal_subject(person)).id
    keys.close()
    with closing(sqlite3.connect(home.data / "subject-keys.db")) as file:
        assert file.execute("DELETE FROM subject_keys WHERE id = ?", (identity,)).rowcount == 1
        file.commit()
    return identity.hex()


def naming(home: House, person: str) -> list[str]:
    """Tables of the registers in which anything names this person."""
    with closing(sqlite3.connect(home.data / "answerable.db")) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [
            table
            for table in tables
            if any(
                person.encode() in (cell if isinstance(cell, bytes) else str(cell).encode())
                for row in file.execute(f"SELECT * FROM {table}")
                for cell in row
            )
        ]


@pytest.mark.requirement("PROJECT-27")
async def test_whoever_was_erased_stays_so_over_registers_from_before(tmp_path: Path):
    key = create_key(tmp_path / "quin.jwk", seed=bytes([8]) * 32)
    spec = {"groups": ["approvers"], "keys": [parse(key.public.jwk.encode())]}
    with_pia = documents(tmp_path) + "---\n" + yaml.safe_dump(document("Principal", "quin", spec))
    rest = [one for one in yaml.safe_load_all(with_pia) if one["metadata"]["name"] != "pia"]
    async with house(tmp_path, SOON) as home:
        home.apply(with_pia)
        await home.start()
        await home.serving()
        await give_task(home)
        await noted(home, "once")
        (waiting,) = json.loads(home.command("approval", "list", "--json"))
        answered(home, waiting["id"])
        await home.stop(signal.SIGTERM)
        copy = copied(home)
        assert {"approvals", "documents"} <= {*naming(home, "pia")}
        (tmp_path / "rest.yaml").write_text(yaml.safe_dump_all(rest, sort_keys=False))
        home.command("apply", "--prune", "--yes", "-f", str(tmp_path / "rest.yaml"))
        gone = erased(home, "pia")
        for registers in (copy, None):
            put_back(home, copy) if registers else taken_away(home)
            await home.start()
            await home.serving()
            assert naming(home, "pia") == [], registers
            assert (gone in home.said) == (registers is not None), (
                "said where somebody was in an older copy alone"
            )
            again = await noted(home, "once")
            assert "note_id" not in again, "the yes of somebody erased lets nothing run"
            assert notes(home) == []
            await home.stop(signal.SIGTERM)


@pytest.mark.requirement("PROJECT-12")
async def test_a_mandate_that_somebody_wrote_into_the_log_and_nobody_signed_lets_nobody_act(tmp_path: Path):
    async with house(tmp_path, SOON) as home:
        home.apply(documents(tmp_path))
        await home.start()
        await home.serving()
        await home.stop(signal.SIGTERM)
        async with assembled(load_settings(home.data)) as product:
            walk = product.walk
            now = walk.clock.now()
            terms = MandateTerms(
                id=MandateId(MANDATE), principal=PrincipalId("alice"), agent=AgentId("scout"),
                use_case="support", purpose="whatever I want", grants=(Grant(capability="crm.note"),), caveats=(),
                calls_max=100, not_before=now, expires_at=UnixMillis(now + 3_600_000),
            )  # fmt: skip
            forged = signed(
                terms, signed_mandate(terms, audience=walk.recorder.ledger.origin, key=signing_key("mallory"))
            )
            entry = mandate_issued(
                forged,
                at=now,
                sealing=sealing_for(walk.recorder, principal_subject("alice")),
                principal=pseudonym_of(walk.recorder, "alice"),
                audience=walk.recorder.ledger.origin,
            )
            await record_entry(walk.recorder, entry)
        for registers in ("as they were", "gone"):
            if registers == "gone":
                taken_away(home)
            await home.start()
            await home.serving()
            assert f"mandates `{MANDATE}`" in home.said, registers
            assert "is not known" in await noted(home, "paid"), registers
            await home.stop(signal.SIGTERM)
        assert notes(home) == []
