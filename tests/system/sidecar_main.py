"""Starts the sidecar as its command does. Takes AGENT GATEWAY MANDATE ATTESTATION PROJECT -- COMMAND ARGS...

ATTESTATION: JSON. PROJECT: a file whose SHA-256 is the prompt's digest, or `-`.
"""

import hashlib
import json
import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from answerable.apps.sidecar.sidecar import SidecarOptions, run_sidecar
from answerable.errors import AnswerableError
from answerable.sdk.enrolment import MadeOf


def measured(path: Path) -> MadeOf:
    return MadeOf(
        measured={"prompt_digest": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"}, claimed={}
    )


async def main() -> int:
    split = sys.argv.index("--")
    agent, gateway, mandate, attestation, project = sys.argv[1:split]
    options = SidecarOptions(
        agent=agent,
        gateway=gateway,
        command=tuple(sys.argv[split + 1 :]),
        attesting=lambda challenge, thumbprint: json.loads(attestation),
        measure=(lambda: measured(Path(project))) if project != "-" else None,
        mandate=mandate,
        say=lambda text: print(text, file=sys.stderr, flush=True),
        measure_seconds=0.2,
    )
    try:
        return await run_sidecar(options)
    except AnswerableError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 3


sys.exit(anyio.run(main))
