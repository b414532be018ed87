"""A real server whose notes wait for people, and registers that are put back, taken away or written by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from answerable.core.canonical import parse
from answerable.sdk.keyfile import create_key
from answerable.testing.samples import document
from tests.worlds.gateway import FORBID, PERMIT, registry
from tests.worlds.mandate import changed
from tests.worlds.up import REGISTERS, SETTINGS, House

SOON = SETTINGS.replace("[gateway]", "[gateway]\napproval_wait_seconds = 1") + "[witnesses]\nlocal = false\n"
"""No witness is asked here, and one would cost as much to start as the server."""
BEHIND = "the registers were behind the ledger"
BY_HAND = "the registers were changed by another program"
FORBIDDEN = '@id("no-notes")\nforbid (principal, action == Action::"crm.note", resource);\n'


def documents(root: Path, *, more: str = "", groups: tuple[str, ...] = ("approvers",)) -> str:
    """Notes wait for one approver, who is pia. more: policies beside that. groups: of pia."""
    pia = root / "pia.jwk"
    key = create_key(pia, seed=bytes([7]) * 32) if not pia.exists() else None
    jwk = root / "pia.public"
    if key is not None:
        jwk.write_text(key.public.jwk)
    people = [document("Principal", "pia", {"groups": [*groups], "keys": [parse(jwk.read_bytes())]})]
    policies = PERMIT + FORBID["crm"] + more
    found = changed([*registry(root, ["crm"]), *people], "PolicySet", "house", policies=policies)
    return yaml.safe_dump_all(found, sort_keys=False)


def answered(home: House, approval: str, verb: str = "approve", *more: str) -> None:
    """Pia says yes, or what else she may."""
    key = str(home.root / "pia.jwk")
    home.command("approval", verb, approval, "--as", "pia", "--key", key, "--yes", *more)


def copied(home: House, name: str = "copy.db") -> Path:
    """The registers as they are, whether the server runs or not."""
    copy = home.root / name
    with (
        closing(sqlite3.connect(home.data / "answerable.db")) as live,
        closing(sqlite3.connect(copy)) as kept,
    ):
        live.backup(kept)
    return copy


def taken_away(home: House) -> None:
    """The registers are gone; the server does not run."""
    for name in REGISTERS:
        (home.data / name).unlink(missing_ok=True)


def put_back(home: House, copy: Path) -> None:
    """The registers are that copy again; the server does not run."""
    taken_away(home)
    (home.data / "answerable.db").write_bytes(copy.read_bytes())
    (home.data / "answerable.db").chmod(0o600)


@contextmanager
def by_hand(home: House) -> Iterator[sqlite3.Connection]:
    """Somebody writes into the registers of a server that does not run."""
    with closing(sqlite3.connect(home.data / "answerable.db")) as connection:
        yield connection
        connection.commit()


def notes(home: House) -> list[str]:
    """What was really noted at the far end: a word each, unlike what is there from the beginning."""
    with closing(sqlite3.connect(home.root / "crm.db")) as crm:
        found = [str(text) for (text,) in crm.execute("SELECT text FROM notes ORDER BY rowid")]
    return [text for text in found if " " not in text]


ROWS: dict[str, str] = {
    "documents": "SELECT key, body FROM documents",
    "policies": "SELECT kind || id, at, body FROM policy_records",
    "manifests": "SELECT token, agent, digest, signed_at FROM manifests",
    "tool_pins": "SELECT server || tool, definition, text, at, signed_by, key, token FROM tool_pins",
    "mandates": "SELECT id, claims, token, state FROM mandates",
    "mandates_issued": "SELECT mandate, origin, entry, leaf FROM mandates_issued",
    "approvals": "SELECT id, state, expires_at, body FROM approvals",
    "passkeys": "SELECT id, person, body, sign_count, removed_at FROM passkeys",
    "duty_delegations": "SELECT id, body, until, ended_at FROM duty_delegations",
    "event_streams": "SELECT id, body FROM event_streams",
}
"""Every column that an entry says anything of."""


def rows(home: House) -> dict[tuple[str, str], tuple[Any, ...]]:
    """All of them, field by field."""
    with closing(sqlite3.connect(home.data / "answerable.db")) as connection:
        return {
            (table, row[0]): row[1:] for table, query in ROWS.items() for row in connection.execute(query)
        }
