"""A witness process that kills itself at a chosen step of remembering a checkpoint, before it can answer.

Arguments: data directory, verifier key of the log, step, and how many checkpoints to remember in peace first.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from answerable.adapters.witness_files import files
from answerable.adapters.witness_files.register import FilesWitnessRegister
from answerable.core.tlog.note import VerifierKey
from answerable.main.doors import witness_door
from answerable.wiring import local_witness
from answerable.wiring.settings import load_settings

STEPS = ("before", "written", "renamed", "remembered")


def main() -> None:
    data, key, step, peaceful = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    left = peaceful
    remember, take_place = FilesWitnessRegister.advance, files.take_place

    def dies(at: str) -> None:
        if step == at and left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def advance(self: FilesWitnessRegister, origin: str, *, seen: bytes | None, newest: bytes) -> bool:
        nonlocal left
        left -= 1
        dies("before")
        done = remember(self, origin, seen=seen, newest=newest)
        dies("remembered")
        return done

    def placed(path: Path) -> None:
        dies("written")
        if step == "renamed" and left < 0:
            os.replace(files.draft_of(path), path)
            dies("renamed")
        take_place(path)

    patched: Any = FilesWitnessRegister
    patched.advance = advance
    files.take_place = placed
    settings = load_settings(data)
    local_witness.run(
        partial(
            local_witness.serve_witness,
            settings,
            partial(witness_door, settings),
            logs=[VerifierKey.parse(key)],
            until_eof=True,
            started=lambda _, __: print("serving", flush=True),
        )
    )


if __name__ == "__main__":
    main()
