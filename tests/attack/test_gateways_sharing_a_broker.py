"""Gateways that start at once and share one broker."""

from __future__ import annotations

import json
import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from answerable.core.identity.keys.keys import SigningKey
from answerable.testing.samples import signing_key
from answerable.wiring.leases import _publish

pytestmark = pytest.mark.requirement("BROKER-10")

GATEWAYS = 8
ROUNDS = 10


def _start(path: Path, name: str, gate: Barrier) -> None:
    key: SigningKey = signing_key(name)
    gate.wait()
    _publish(path, key)


def test_the_broker_is_told_the_keys_of_all_gateways_that_start_at_once(tmp_path: Path) -> None:
    """A gateway whose key was written over would have each of its warrants refused until it starts again."""
    context = multiprocessing.get_context("fork")
    for number in range(ROUNDS):
        path, gate = tmp_path / f"keys-{number}.json", context.Barrier(GATEWAYS)
        names = [f"gateway-{one}" for one in range(GATEWAYS)]
        started = [context.Process(target=_start, args=(path, name, gate)) for name in names]
        for process in started:
            process.start()
        for process in started:
            process.join(60)
            assert process.exitcode == 0
        known = {json.dumps(one, sort_keys=True) for one in json.loads(path.read_bytes())["keys"]}
        wanted = {json.dumps(json.loads(signing_key(name).public.jwk), sort_keys=True) for name in names}
        assert known == wanted
