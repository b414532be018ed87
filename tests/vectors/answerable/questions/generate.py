"""What questions of a version say of the same decisions: `python -m tests.vectors.answerable.questions.generate FILE`.

Run by the release that first wrote the version; what it made stays as it is.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.core.decision.facts import ApprovalFact, HoldFact
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from tests.fuzz.policy_bytes import POLICIES, TRIALS
from tests.worlds.policy import NOW, REGISTRY, Trial

FOLDER = Path(__file__).parent
PAY = TRIALS[3]
HOLD = HoldFact(id="hold_1", kind="agent", text="agent `finance-agent` is held")
CASES: dict[str, Trial] = {
    **{f"trial {number}": trial for number, trial in enumerate(TRIALS)},
    "approved": replace(
        PAY, approval=ApprovalFact(id="a-1", answered_by=(("finance", PrincipalId("maria")),))
    ),
    "history, window and risk": replace(
        PAY, at=UnixMillis(NOW + 1_500), history={"paid_today": 5, "started_here": 2}
    ),
    "closed": replace(PAY, state="closed"),
    "an argument that does not fit": replace(PAY, arguments={"batch": "7", "amount": "much"}),
    "a tracker that is not known": replace(PAY, history={}),
}


def made() -> dict[str, str]:
    """The text of the question of each case."""
    point = CedarDecisionPoint(published(POLICIES, REGISTRY))
    found = {
        name: point.decide(trial.verified(), trial.facts()).question.decode() for name, trial in CASES.items()
    }
    held = structs.replace(PAY.facts(), hold=HOLD)
    found["held"] = point.decide(PAY.verified(), held).question.decode()
    return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(made(), indent=1, ensure_ascii=False) + "\n")
