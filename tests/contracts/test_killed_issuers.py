"""A process that issues is killed at each of its requests, before and after each took hold: another process, which
knows the name alone, leaves nothing live, or says what it could not end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from anyio import to_thread

from answerable.core.lease.name import lease_name
from tests.contracts.test_github_leases import KEY, KEY_PEM, GitHubBench
from tests.contracts.test_kubernetes_leases import ClusterBench
from tests.contracts.test_openbao_leases import OpenBaoBench
from tests.probes import warm_starts
from tests.stand_ins.kubernetes_stand_in import BROKER_TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
NAME = lease_name((1).to_bytes(16, "big"))
ISSUE = """
import os, sys, anyio
from answerable.adapters.system import SystemClock
from answerable.core.canonical import freeze, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import LeaseOrder
from answerable.core.lease.name import LeaseName
from answerable.testing.entropy import SeededEntropy
from answerable.targets.kind import TargetContext
from answerable.wiring.target_kinds import kind_named
_, kind, settings, scope, name = sys.argv
chosen = {key: tuple(one) if isinstance(one, list) else one for key, one in parse(settings.encode()).items()}
clock, found = SystemClock(), kind_named(kind)
world = TargetContext(clock=clock, entropy=SeededEntropy(), secret_of=lambda _: os.environb[b"SECRET"])
issuer = found.build(found.settings(**chosen), world).issuer
order = LeaseOrder(
    name=LeaseName(name), scope=freeze(parse(scope.encode())), expires_at=UnixMillis(clock.now() + 60_000)
)
anyio.run(issuer.issue, order)
"""


def killed_at(number, when, deputy_validity, kind, settings, scope, secret) -> None:
    """Issue in a process of its own, which dies at this request."""
    command = [*warm_starts.program(ISSUE), kind, settings, scope.bytes.decode(), NAME]
    environment = {**os.environ, "SECRET": secret}
    with subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE) as running:

        def kill(asked: int) -> None:
            if asked == number:
                running.send_signal(signal.SIGKILL)
                # Nobody may answer a process that is not quite dead.
                running.wait(10)
                if when == "before":
                    raise ConnectionAbortedError

        setattr(deputy_validity, when, kill)
        _, said = running.communicate(timeout=30)
    setattr(deputy_validity, when, lambda _: None)
    assert running.returncode == -signal.SIGKILL, said.decode()


@pytest.mark.requirement("K8S-02")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_nothing_is_left_on_kubernetes(number, when):
    bench = ClusterBench()
    settings = f'{{"url":"{bench.cluster.url}","token":"file:t","namespaces":["billing","support"]}}'
    secret = BROKER_TOKEN
    await to_thread.run_sync(
        killed_at, number, when, bench.cluster, "kubernetes", settings, bench.scope, secret
    )
    made = [key for key in bench.cluster.objects if key[2].startswith("ans-")]
    assert len(made) == min(number if when == "after" else number - 1, 3)
    assert await bench.issuer.live() == ((NAME,) if made else ())
    assert (await bench.issuer.revoke(NAME)).is_gone
    assert not [key for key in bench.cluster.objects if key[2].startswith("ans-")]
    assert not await bench.issuer.live()
    await bench.issuer.close()
    bench.cluster.stop()


@pytest.mark.requirement("BAO-02")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_nothing_is_left_at_openbao(number, when):
    bench = OpenBaoBench()
    settings = (
        f'{{"url":"{bench.bao.url}","role_id":"role-1","secret_id":"file:s","paths":["database/creds/readonly"],'
        '"acts_by":"postgres","acts_with":"databases = [\\"a\\"]"}'
    )
    await to_thread.run_sync(
        killed_at, number, when, bench.bao, "openbao", settings, bench.scope, "secret-canary-2b9d"
    )
    is_named = number == 3 or (number, when) == (2, "after")
    assert await bench.issuer.live() == ((NAME,) if is_named else ())
    left = await bench.issuer.revoke(NAME)
    assert left.is_gone != is_named
    assert (await bench.issuer.revoke(NAME)).is_gone
    assert not bench.bao.accounts
    assert not await bench.issuer.live()
    await bench.issuer.close()
    bench.bao.stop()


@pytest.mark.requirement("GITHUB-03")
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_is_left_at_github_is_told_for_an_hour(when):
    bench = GitHubBench()
    settings = (
        f'{{"url":"{bench.github.url}","app":"Iv23liTEST","key":"file:k","installation":7,"owner":"octo"}}'
    )
    await to_thread.run_sync(
        killed_at, 1, when, bench.github, "github_app", settings, bench.scope, KEY_PEM.decode()
    )
    assert len(bench.github.tokens) == (when == "after")
    assert KEY.is_private
    after = bench.issuer_of_a_process(up_seconds=0)
    assert not (await after.revoke(NAME)).is_gone
    bench.github.skew_ms = 3_600_001
    assert all(token["expires_ms"] <= bench.github.now_ms() for token in bench.github.tokens.values())
    await bench.issuer.close()
    bench.github.stop()
