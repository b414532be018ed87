"""Skips that nobody can take for a pass, and that fail where what is missing had to be there.

ANSWERABLE_REQUIRE names, with commas between, what this machine must have: `.ci/run` sets it where it could install it.
A test that lacks one of these does not skip there, it fails.
"""

from __future__ import annotations

import os
import warnings
from typing import Final, NoReturn

import pytest

REQUIRE_VARIABLE: Final = "ANSWERABLE_REQUIRE"
PACKED: Final = frozenset(
    {
        "agents",
        "aics",
        "atheris",
        "axe-core",
        "chromium",
        "curl",
        "envoy",
        "faketime",
        "go",
        "go-spiffe",
        "iproute2",
        "journalctl",
        "litetlog",
        "mariadb",
        "moto",
        "nats-server",
        "nginx",
        "npm",
        "oidc-provider-mock",
        "openbao",
        "openssl",
        "postgres",
        "rabbitmq-server",
        "redis-server",
        "schemathesis",
        "sigsum",
        "softhsm",
        "ssh-keygen",
        "sshd",
        "strace",
        "upstreams",
        "webhooks",
    }
)
"""Programs of others, which Debian, Python or npm packages bring."""
ALLOWED: Final = frozenset({"mounts", "namespaces", "root", "tracing"})
"""What a machine, its kernel or its container allows; `.ci/run` asks for what a try of it shows."""
REQUIRABLE: Final = PACKED | ALLOWED


def required() -> frozenset[str]:
    """What this machine must have. Raises UsageError for a name that no test knows, which would require nothing."""
    names = frozenset(filter(None, os.environ.get(REQUIRE_VARIABLE, "").replace(" ", "").split(",")))
    if unknown := sorted(names - REQUIRABLE):
        known = ", ".join(sorted(REQUIRABLE))
        raise pytest.UsageError(f"{REQUIRE_VARIABLE} names `{unknown[0]}`, which is none of {known}")
    return names


def skip_loudly(missing: str, advice: str, *, name: str) -> NoReturn:
    """Skips the test with a warning. missing: what is not installed. name: as ANSWERABLE_REQUIRE would name it; where
    it does, the test fails instead."""
    not_proven(f"{missing} is not installed: interop NOT PROVEN here; {advice}", name=name)


def without_loudly(name: str, advice: str) -> None:
    """Warns that a test goes on without one of several programs of others; fails it where that one is required."""
    told = f"{name} is not installed: interop with it NOT PROVEN here; {advice}"
    _fail_where_required(told, name)
    warnings.warn(told, stacklevel=2)


def not_proven(told: str, *, name: str = "") -> NoReturn:
    """Skips the test with a warning that says what was not proven and why; as `skip_loudly` where it is required."""
    _fail_where_required(told, name)
    warnings.warn(told, stacklevel=3)
    pytest.skip(told)


def _fail_where_required(told: str, name: str) -> None:
    assert not name or name in REQUIRABLE, (
        f"nobody can ask for `{name}`: name it in {__name__} and in .ci/run"
    )
    if name and name in required():
        pytest.fail(f"{told} ({REQUIRE_VARIABLE} says that `{name}` must be here)", pytrace=False)
