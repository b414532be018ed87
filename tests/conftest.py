"""What every test shares: how hard the property tests try, and the event loop of asynchronous tests."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, configuration, settings
from hypothesis.internal.conjecture import providers

from tests.probes import one_ssl_context, warm_starts
from tests.probes.loud_skips import not_proven

warm_starts.install()
one_ssl_context.install()

# A process that has read hundreds of test files has a lot to look through at each collection, and finds nothing.
gc.set_threshold(20_000, 50, 1_000)

# What it has learnt lies with the other caches.
configuration.set_hypothesis_home_dir(Path(__file__).parent.parent / ".dev/cache/hypothesis")

# No deadline: a wall-clock limit per example says more about the machine than about the code.
settings.register_profile("quick", deadline=None, max_examples=10)
# Not by chance: a test that passed cannot fail before something that it runs has changed.
settings.register_profile("same", settings.get_profile("quick"), derandomize=True)
settings.register_profile(
    "default", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "prove",
    deadline=None,
    max_examples=1000,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("default")


WITHOUT_SERVERS = ("tests/unit/", "tests/property/", "tests/tidy/", "tests/fuzz/", "tests/vectors/", ".dev/")
"""Folders of tests of which few start any; the last is for those that tests plant."""


def pytest_configure(config: pytest.Config) -> None:
    """With the same draws each time, none is of the numbers and texts in modules that this process happens to have."""
    if config.getoption("--hypothesis-profile", None) == "same":
        vars(providers)["is_local_module_file"] = lambda _: False


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where a server will be started, what it is started from reads the product while the first tests run."""
    if not all(one.nodeid.startswith(WITHOUT_SERVERS) for one in session.items):
        warm_starts.begin()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked `anyio` run once, on the loop that the product runs on."""
    return "asyncio"


@pytest.fixture
def own_root_is_a_mount() -> None:
    """What is mounted at the root of a plain chroot is in no table that it can read, so nothing is measured there."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    if not any(line.split()[4] == "/" for line in mounts):
        told = "the root of this file tree is no mount, as in a plain chroot: measuring programs is NOT PROVEN here"
        not_proven(told)
