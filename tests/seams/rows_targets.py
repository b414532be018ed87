"""Rows of what packages of others bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.seams.feature import Answers, Feature, Kept
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


ROWS = (PluginTargets(),)
