"""Rows of what somebody edits in the registers, clearing the note that triggers made of it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from tests.seams.feature import Answers, Feature, Kept

if TYPE_CHECKING:
    from tests.seams.life import Life

WAIT_SECONDS_MAX = 60
SIGNED = ("bank.read",)
"""What the token of an edited mandate grants."""
WITHIN = frozenset({("mandate.capability_outside", "ok"), ("mandate.unknown", "mandate.unknown")})
"""What comes of an action that the row alone grants, and of one that the token grants, too: a server that has the
mandate from before, or whose row was brought back, acts by the token; one that reads the row does not take it."""


class EditedMandates(Feature):
    name = "edited mandate"
    claim = (
        "A mandate whose row was edited gives nothing that its signed token does not, and its neighbour acts."
    )
    doors = ("timeline {edited}", "/v1/timeline/{edited}", 0)
    asked = ("timeline {edited}", "worker")
    holds = Answers({"edited": "nothing more", "neighbour": "ok"})

    def begin(self, life: Life, kept: Kept) -> None:
        kept |= {"mandate": life.mandate(grants=SIGNED), "edited": self.edited(life)}

    @staticmethod
    def edited(life: Life) -> str:
        """A mandate to read, by whose row its agent may write. A server that runs has it from before."""
        mandate = life.mandate(grants=SIGNED)
        with (
            closing(sqlite3.connect(life.home.data / "answerable.db", timeout=WAIT_SECONDS_MAX)) as other,
            other,
        ):
            other.execute("BEGIN IMMEDIATE")
            (held,) = other.execute("SELECT claims FROM mandates WHERE id = ?", (mandate,)).fetchone()
            claims = json.loads(held) | {"grants": [[name, []] for name in ("bank.note", *SIGNED)]}
            other.execute("UPDATE mandates SET claims = ? WHERE id = ?", (encode(claims), mandate))
            other.execute("UPDATE touched SET by_others = 0")
        return mandate

    @staticmethod
    def beyond(life: Life, mandate: str) -> str:
        """What comes of an action that only the edited row grants; a refusal counts only for a reason of `WITHIN`."""
        said = life.call("worker", mandate, "note", account="A1", text="edited").code
        within = life.reads("worker", mandate)
        return "nothing more" if (said, within) in WITHIN else said

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        return {
            "edited": self.beyond(life, kept["edited"]),
            "neighbour": life.reads("worker", kept["mandate"]),
        }

    def write(self, life: Life, kept: Kept, number: int) -> object:
        return self.edited(life)

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        """Acknowledged or not, it gives nothing more; one whose row was brought back acts as it was signed."""
        return said is not None and self.beyond(life, str(said)) == "nothing more"


ROWS = (EditedMandates(),)
