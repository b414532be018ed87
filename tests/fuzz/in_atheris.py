"""Fuzzes one parser with atheris, which follows what lines of ours are reached: NAME CORPUS SECONDS. A program."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

INPUT_BYTES_MAX = 65_536
ONE_SECONDS_MAX = 10
MEMORY_MIB_MAX = 2_048


def main() -> None:
    """Write the samples as the corpus, then fuzz until the time is up. A fault ends the process with another status."""
    name, corpus, seconds = sys.argv[1:]
    with atheris.instrument_imports(include=["answerable"]):
        from tests.fuzz.stranger_bytes import targets, tried
    target = targets()[name]
    seeds = Path(corpus) / "seeds"
    seeds.mkdir()
    for number, sent in enumerate(target.samples):
        (seeds / str(number)).write_bytes(sent)

    def one(sent: bytes) -> None:
        tried(target, sent)

    options = [
        f"-max_total_time={max(1, round(float(seconds)))}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={ONE_SECONDS_MAX}",
        f"-rss_limit_mb={MEMORY_MIB_MAX}",
        f"-artifact_prefix={corpus}/",
        str(seeds),
    ]
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
