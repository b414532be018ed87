"""Fuzzes parsers with atheris, which follows what lines of ours are reached: FOLDER SECONDS RUNS NAME... A program.

Each is fuzzed in a fork of its own: to read the product with every line followed takes longer than to fuzz a parser
shortly. In `FOLDER/NUMBER`, counted as the names are given, is what was said and what bytes were a fault.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NoReturn

import atheris  # type: ignore[import-untyped]

INPUT_BYTES_MAX = 65_536
ONE_SECONDS_MAX = 10
MEMORY_MIB_MAX = 2_048


def main() -> None:
    """Fuzz one after the other. What ends with another status than 0 is written down as `status` in its folder."""
    folder, seconds, runs, *names = sys.argv[1:]
    with atheris.instrument_imports(include=["answerable"]):
        from tests.fuzz.stranger_bytes import targets, tried
    found = targets()
    for number, name in enumerate(names):
        place = Path(folder) / str(number)
        place.mkdir()
        child = os.fork()
        if not child:
            with (place / "said").open("wb") as said:
                os.dup2(said.fileno(), 2)
            _fuzz(found[name].samples, partial(tried, found[name]), place, seconds, runs)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        (place / "status").write_text(str(status))


def _fuzz(
    samples: Iterable[bytes], tried: Callable[[bytes], None], place: Path, seconds: str, runs: str
) -> NoReturn:
    """Until the runs are made or the time is up. samples: the corpus. A fault ends the process with another status."""
    seeds = place / "seeds"
    seeds.mkdir()
    for number, sent in enumerate(samples):
        (seeds / str(number)).write_bytes(sent)
    options = [
        f"-max_total_time={max(1, round(float(seconds)))}",
        f"-runs={runs}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={ONE_SECONDS_MAX}",
        f"-rss_limit_mb={MEMORY_MIB_MAX}",
        f"-artifact_prefix={place}/",
        str(seeds),
    ]
    atheris.Setup([sys.argv[0], *options], tried)
    atheris.Fuzz()
    os._exit(0)


if __name__ == "__main__":
    main()
