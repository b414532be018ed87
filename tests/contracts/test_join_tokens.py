"""The contract suite of join tokens, and what only a file shared by processes can get wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteStore
from answerable.adapters.sqlite.join_tokens import SqliteJoinTokens
from answerable.core.identity.workload.join_token import join_token_text
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts.join_tokens import (
    TOKENS_MAX,
    DurableJoinTokensContract,
    sample,
)
from tests.probes import warm_starts

pytestmark = pytest.mark.requirement("ATTEST-04")

PROCESSES = 8


def tokens_in(directory: Path) -> SqliteJoinTokens:
    store = SqliteStore.open(directory / "state" / "registers.db")
    return SqliteJoinTokens(store, tokens_max=TOKENS_MAX)


class TestSqliteJoinTokens(DurableJoinTokensContract):
    def opened(self, tmp_path: Path) -> SqliteJoinTokens:
        return tokens_in(tmp_path)


RACING = """
import sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteStore
from answerable.adapters.sqlite.join_tokens import SqliteJoinTokens
from answerable.testing.clock import START
from answerable.testing.contracts.join_tokens import sample
tokens = SqliteJoinTokens(SqliteStore.open(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
print(sum(tokens.consume(sample(n).digest, now=START) is not None for n in range(8)))
"""

KILLED = """
import os, signal, sys
from pathlib import Path
from answerable.adapters.sqlite import SqliteStore
from answerable.adapters.sqlite.join_tokens import SqliteJoinTokens
from answerable.testing.clock import START
from answerable.testing.contracts.join_tokens import sample
tokens = SqliteJoinTokens(SqliteStore.open(Path(sys.argv[1])))
assert tokens.consume(sample().digest, now=START) is not None
os.kill(os.getpid(), signal.SIGKILL)
"""


def started(program: str, file: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [*warm_starts.program(program), str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )


def test_of_racing_processes_one_uses_each_token(tmp_path: Path) -> None:
    tokens = tokens_in(tmp_path)
    for number in range(8):
        tokens.add(sample(number))
    children = [started(RACING, tmp_path / "state" / "registers.db") for _ in range(PROCESSES)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    told = [child.communicate(timeout=120)[0] for child in children]
    assert not any(child.returncode for child in children)
    assert sum(int(text) for text in told) == 8


def test_a_token_that_was_used_before_kill_9_stays_used(tmp_path: Path) -> None:
    tokens_in(tmp_path).add(sample())
    child = started(KILLED, tmp_path / "state" / "registers.db")
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert tokens_in(tmp_path).consume(sample().digest, now=START) is None


def test_the_file_holds_no_token(tmp_path: Path) -> None:
    text = join_token_text((0).to_bytes(32, "big"))
    tokens = tokens_in(tmp_path)
    tokens.add(sample(0))
    tokens.consume(sample(0).digest, now=START)
    content = b"".join(file.read_bytes() for file in (tmp_path / "state").iterdir())
    assert sample(0).digest in content
    assert text.encode() not in content


def test_when_the_file_is_closed_nothing_is_granted(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "registers.db")
    tokens = SqliteJoinTokens(store)
    tokens.add(sample(0))
    store.close()
    with pytest.raises(Unavailable):
        tokens.consume(sample(0).digest, now=START)
