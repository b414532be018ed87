"""Each tidy rule catches the fault it is for, and lets its neighbour pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tidy import faults, rules, timing
from tests.tidy.tree import Module, parsed

CORE = "src/answerable/core/action/digest.py"
FLOW = "src/answerable/flows/walk/govern_action.py"
COMMIT = "src/answerable/flows/walk/commit_intent.py"
INTENTS = "src/answerable/flows/recording/intent_log.py"
ADAPTER = "src/answerable/adapters/sqlite/ledger.py"
PORT = "src/answerable/ports/clock.py"
TEST = "tests/system/test_clock.py"

CAUGHT: list[tuple[Callable[[Module], list[str]], str, str]] = [
    (faults.names, "src/answerable/core/utils.py", ""),
    (faults.names, CORE, "class PolicyManager: ..."),
    (faults.names, CORE, "class HTTPHandler: ..."),
    (faults.names, CORE, "def do_it(): ..."),
    (faults.names, CORE, "async def load_data(): ..."),
    (faults.world, CORE, "import datetime\nx = datetime.datetime.now()"),
    (faults.world, CORE, "from datetime import datetime as d\nx = d.now(None)"),
    (faults.world, CORE, "import datetime as dt\nx = [dt.date.today]"),
    (faults.world, FLOW, "import time\nx = time.monotonic()"),
    (faults.world, FLOW, "from time import time as now\nx = now()"),
    (faults.world, FLOW, "from uuid import uuid4\nx = uuid4()"),
    (faults.world, PORT, "import os\nx = os.environ['HOME']"),
    (faults.world, "src/answerable/sdk/client.py", "from os import environ\nx = environ.get('HOME')"),
    (faults.world, "src/answerable/verify/report.py", "import secrets\nx = secrets.token_bytes(8)"),
    (faults.world, CORE, "from nacl.signing import SigningKey\nx = SigningKey.generate()"),
    (
        faults.world,
        CORE,
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as K\nK.generate()",
    ),
    (faults.core_imports, CORE, "import pydantic"),
    (faults.core_imports, CORE, "def f():\n    import os.path"),
    (faults.core_imports, CORE, "from yaml import safe_load"),
    (faults.room_imports, PORT, "from answerable.verify import report"),
    (faults.room_imports, PORT, "from answerable import sdk"),
    (faults.makers, ADAPTER, "Warrant(index=1)"),
    (faults.makers, ADAPTER, "warrant.Warrant(index=1)"),
    (faults.makers, FLOW, "Warrant(committed=1)"),
    (faults.makers, COMMIT, "Committed(receipt=1, call=1)"),
    (faults.makers, FLOW, "VerifiedRequest(action=1)"),
    (faults.makers, FLOW, "VerifiedCaller(agent=1)"),
    (faults.makers, FLOW, "Plan(epoch=1)"),
    (faults.takers, FLOW, "walk.mandates.reserve(accounts, amounts)"),
    (faults.takers, COMMIT, "x = walk.approvals.use(approval, now)"),
    (faults.takers, ADAPTER, "def f(prepared):\n    return prepared.use('p-1', by='a', now=1)"),
    (faults.sizes, CORE, "def long():\n" + "    pass\n" * rules.FUNCTION_LINES_MAX),
    (faults.sizes, CORE, "x = 1\n" * (rules.MODULE_LINES_MAX + 1)),
    (faults.ports, PORT, "from typing import Protocol\nclass Clock(Protocol):\n    x: int"),
    (
        timing.timed_assertions,
        TEST,
        "import time\ndef f():\n    a = time.time()\n    assert time.time() - a < 5",
    ),
    (
        timing.timed_assertions,
        TEST,
        "from time import monotonic as now\ndef f():\n    a, b = now(), 1\n"
        "    took = round(now() - a)\n    assert took < b",
    ),
    (
        timing.timed_assertions,
        TEST,
        "import anyio\nasync def f():\n    began = anyio.current_time()\n    found = []\n"
        "    found.append(anyio.current_time() - began)\n    assert found[0] < 4",
    ),
    (timing.bare_sleeps, TEST, "import time\ntime.sleep(0.3)"),
    (timing.bare_sleeps, TEST, "from asyncio import sleep\nasync def f(x):\n    await sleep(x)"),
    (
        timing.bare_sleeps,
        TEST,
        "import anyio\nasync def f():\n    for _ in 'ab':\n        await anyio.sleep(0.2)",
    ),
    (
        faults.ports,
        PORT,
        'import typing\nclass C(typing.Protocol[T]):\n    """Yes."""\n    def now(self): ...',
    ),
]

PASSES: list[tuple[Callable[[Module], list[str]], str, str]] = [
    (
        faults.names,
        "src/answerable/core/database.py",
        "class Informed: ...\ndef base64_text(): ...\nclass X: ...\ndef redo_domain(): ...",
    ),
    (faults.world, ADAPTER, "import time\nx = time.time()"),
    (faults.world, CORE, "from datetime import datetime\nx = datetime.fromisoformat('2026-01-01')"),
    (faults.world, CORE, "def f(time): return time.sleep"),
    (
        faults.core_imports,
        CORE,
        "import hashlib\nfrom cryptography import x509\nfrom answerable import errors",
    ),
    (faults.core_imports, ADAPTER, "import sqlite3"),
    (faults.room_imports, PORT, "from answerable.core import action"),
    (faults.makers, COMMIT, "Warrant(committed=1)"),
    (faults.makers, INTENTS, "Committed(receipt=1, call=1)"),
    (faults.takers, INTENTS, "parts.mandates.reserve(accounts, amounts)"),
    (faults.takers, FLOW, "walk.mandates.lack(accounts, amounts)\nspending.reserve(accounts)"),
    (faults.makers, "src/answerable/core/mandate/verify.py", "VerifiedRequest(action=1)"),
    (
        faults.sizes,
        CORE,
        'def long():\n    """' + "\n" * 30 + '"""\n' + "    pass\n" * (rules.FUNCTION_LINES_MAX - 1),
    ),
    (faults.ports, PORT, 'from typing import Protocol\nclass Clock(Protocol):\n    """Never goes back."""'),
    (
        timing.timed_assertions,
        TEST,
        "import time\ndef f(x):\n    end = time.time() + 5\n    assert time.time() < end\n"
        "    clock = Clock(time.time())\n"
        "    assert x - clock.now() < 5\n    before = time.time()\n    assert before <= x <= time.time()",
    ),
    (
        timing.bare_sleeps,
        TEST,
        "import anyio\nasync def f(x):\n    while not x:\n        await anyio.sleep(0.1)\n    await anyio.sleep(0.02)\n"
        "    await anyio.sleep_forever()",
    ),
]


@pytest.mark.parametrize(("rule", "path", "text"), CAUGHT)
def test_a_planted_fault_is_caught(rule, path, text):
    assert rule(parsed(path, text))


@pytest.mark.parametrize(("rule", "path", "text"), PASSES)
def test_its_neighbour_passes(rule, path, text):
    assert rule(parsed(path, text)) == []


def test_a_note_without_an_issue_is_caught():
    word = rules.LEFTOVER_WORDS[0]
    assert faults.leftovers("a.py", f"# {word} later")
    assert not faults.leftovers("a.py", f"# {word}(#12): later")


@pytest.mark.parametrize("start", rules.MACHINE_PATHS)
def test_a_path_of_one_machine_is_caught(start):
    assert faults.places("a.md", f"see {start}here")
    assert faults.places("a.py", f"open('{start}here')")
    assert not faults.places("a.md", f"see docs{start}here")


@pytest.mark.parametrize("host", rules.REGISTRY_HOSTS)
def test_an_address_of_a_registry_is_caught(host):
    assert faults.places("a.lock", f"--index https://{host}/x")
