"""Rows of what packages of others bring."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from answerable.core.ledger.tags import Tag
from tests.seams.feature import Answers, Feature, Kept, names
from tests.seams.home import VAULT_LOG
from tests.seams.rows_authority import leases_at

if TYPE_CHECKING:
    from tests.seams.life import Life


class PluginTargets(Feature):
    name = "target plug-in"
    claim = (
        "A kind of target that a package of others brings gives a task an account of its own, for what it may do there "
        "and no more, and takes it back when the task ends."
    )
    doors = ("lease targets", "/v1/targets", 0)
    asked = ("timeline {ended}", "was revoked")
    holds = Answers(
        {
            "goes on": "ok",
            "beyond": "failed",
            "ended": "mandate.closed",
            "kind": "notes",
            "taken back": "True",
        }
    )

    def begin(self, life: Life, kept: Kept) -> None:
        kept |= {"mandate": life.mandate(), "ended": life.mandate()}
        before = life.notes.accounts()
        assert self.note(life, kept["ended"]) == "ok"
        (kept["account"],) = life.notes.accounts() - before
        assert self.note(life, kept["mandate"]) == "ok"

    @staticmethod
    def note(life: Life, mandate: str, folder: str = "case-7") -> str:
        return life.call("worker", mandate, "read", server="notes", note=f"{folder}/summary").code

    def finish(self, life: Life, kept: Kept) -> None:
        life.told(f"/v1/mandates/{kept['ended']}/close", {})
        life.until(lambda: kept["account"] not in life.notes.accounts(), "the account to be removed")

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        said = (
            self.note(life, kept["mandate"]),
            self.note(life, kept["mandate"], "case-8"),
            self.note(life, kept["ended"]),
            " ".join(one["kind"] for one in life.items("/v1/targets") if one["name"] == "notes"),
            str(kept["account"] not in life.notes.accounts()),
        )
        return dict(zip(self.holds, said, strict=True))

    def write(self, life: Life, kept: Kept, number: int) -> object:
        code = self.note(life, mandate := life.mandate())
        assert code == "ok", code
        return mandate

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        """Accounts that a killed broker had made are removed, and made anew for whoever goes on."""
        if said is None:
            return False
        life.until(
            lambda: len(life.notes.accounts()) <= len(leases_at(life, "notes")),
            "accounts of nobody to be removed",
        )
        return self.note(life, str(said)) == "ok"


class TargetLogs(Feature):
    name = "log of a target"
    claim = "What the log of a target shows past the broker is on record, each session once."
    doors = ("timeline vault", "/v1/timeline/vault", 0)
    asked = ("timeline vault", "account shared was used past the broker")
    holds = Answers({"before": "once", "after": "once", "log": "read"})
    tags = frozenset({Tag.LOG_FINDING})
    nouns = names("log")

    def begin(self, life: Life, kept: Kept) -> None:
        kept["before"] = self.logged(life, "before")

    def finish(self, life: Life, kept: Kept) -> None:
        kept["after"] = self.logged(life, "after")
        for name in ("before", "after"):
            self.found(life, kept[name])

    @staticmethod
    def logged(life: Life, session: str) -> str:
        """What the target writes of somebody who has the account without the broker. The digest of the line."""
        when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        line = {"timestamp": f"{when} UTC", "user": "shared", "session_id": session, "message": "SELECT 1"}
        text = json.dumps(line)
        with (life.root / VAULT_LOG).open("a") as file:
            file.write(f"{text}\n")
        return sha256(f"{text}\n".encode()).hexdigest()

    def found(self, life: Life, digest: str) -> None:
        life.until(lambda: self.told(life, digest) != "not there", "the finding of a line")

    @staticmethod
    def told(life: Life, digest: str) -> str:
        """Each process that follows the log has it in its own ledger."""
        lines = life.told("/v1/timeline/vault")["lines"]
        logs = [one["shard"] for one in lines if any(digest in told for told in one["details"])]
        return "not there" if not logs else "once" if len(logs) == len(set(logs)) else "again"

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        states = {one["state"] for one in life.items("/v1/logs")}
        log = "read" if states == {"ok"} else " ".join(sorted(states))
        return {name: self.told(life, kept[name]) for name in ("before", "after")} | {"log": log}

    def write(self, life: Life, kept: Kept, number: int) -> object:
        """Whatever becomes of the server, the target has written it."""
        kept[f"written {number}"] = self.logged(life, f"written.{number}")
        return kept[f"written {number}"]

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        self.found(life, kept[f"written {number}"])
        assert self.told(life, kept[f"written {number}"]) == "once"
        return True


ROWS = (PluginTargets(), TargetLogs())
