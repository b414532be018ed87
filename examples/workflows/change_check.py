"""A change-management system that answers approvals: yes to what a released change says exactly, no to all else.

Run it with `python examples/workflows/change_check.py --gateway unix:DIR/gateway.sock --name change-check --key KEY
--changes changes.json`. The file stands in for the system's own list:

    {"changes": [{"id": "CHG-1042", "capability": "crm.note", "arguments": {"case_id": "4711", "text": "moved"}}]}

No model decides here: it compares values. A change serves one answer; after that another like it is denied. What it
has answered is forgotten when it ends, as a real system would keep that in its list.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from answerable.errors import AnswerableError, Refused, Unavailable, Unverified
from answerable.sdk.keyfile import load_key
from answerable.sdk.workflow import Waiting, WorkflowDoor

POLL_SECONDS = 1.0


@dataclass
class Changes:
    """The list, read anew for each question, so that a change that was withdrawn is withdrawn."""

    path: Path
    used: set[str] = field(default_factory=set)

    def matching(self, waiting: Waiting) -> str:
        """The id of a change that is released and says exactly this; empty for none."""
        wanted = {name: waiting.action[name] for name in ("capability", "arguments")}
        for change in self._listed():
            known = {name: change.get(name) for name in ("capability", "arguments")}
            if change.get("id") not in self.used and known == wanted:
                return str(change["id"])
        return ""

    def _listed(self) -> list[dict[str, Any]]:
        found = json.loads(self.path.read_text())["changes"]
        return [one for one in found if isinstance(one, dict)]


async def answer_one(door: WorkflowDoor, changes: Changes, waiting: Waiting) -> None:
    """Say yes by a change, or no. A list that cannot be read answers nothing: it waits, and people look."""
    change = changes.matching(waiting)
    comment = f"change {change}" if change else "no released change says this"
    # Taken before it is given: whatever becomes of the answer, it is not given twice.
    changes.used.add(change or waiting.id)
    state = await door.answer(waiting, "approve" if change else "deny", comment=comment)
    print(f"{waiting.sentence}: {comment}, now {state}", flush=True)


async def run(arguments: argparse.Namespace) -> None:
    """Look for questions until it is stopped."""
    key, changes = load_key(arguments.key), Changes(arguments.changes)
    async with WorkflowDoor(arguments.gateway, name=arguments.name, key=key) as door:
        while True:
            try:
                for waiting in await door.waiting():
                    await answer_one(door, changes, waiting)
            except (Refused, Unavailable, Unverified) as error:
                print(f"{error.code}: {error.message}", file=sys.stderr, flush=True)
            except (OSError, ValueError, KeyError, TypeError) as error:
                print(
                    f"the list of changes cannot be read: {type(error).__name__}", file=sys.stderr, flush=True
                )
            await asyncio.sleep(POLL_SECONDS)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gateway", required=True, help="unix:PATH of the gateway's socket")
    parser.add_argument("--name", required=True, help="registered name of the workflow")
    parser.add_argument("--key", required=True, type=Path, help="its key file")
    parser.add_argument("--changes", required=True, type=Path, help="the list of released changes, JSON")
    try:
        asyncio.run(run(parser.parse_args()))
    except AnswerableError as error:
        sys.exit(f"{error.code}: {error.message}")
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
