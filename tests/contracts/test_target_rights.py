"""Every kind of target that tells of rights: what a call used, and that the target still understands what is left."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.github_app.scope import faults_of as github_faults
from answerable.adapters.http_target.kind import BESIDE
from answerable.adapters.http_target.scope import scope_faults as http_faults
from answerable.adapters.mariadb_accounts.rights import MariadbRights
from answerable.adapters.mariadb_accounts.scope import MariadbScope
from answerable.adapters.mariadb_accounts.scope import scope_of as mariadb_scope
from answerable.adapters.model_provider.rights import ModelRights
from answerable.adapters.model_provider.scope import scope_faults as model_faults
from answerable.adapters.nats_users.grants import checked_grants as nats_grants
from answerable.adapters.nats_users.rights import NatsRights
from answerable.adapters.rabbitmq_users.grants import checked_grants as rabbit_grants
from answerable.adapters.rabbitmq_users.rights import RabbitRights
from answerable.adapters.ssh_certificates.rights import SSHRights
from answerable.adapters.ssh_certificates.scope import grant_faults as ssh_faults
from answerable.core.canonical import freeze
from answerable.core.lease.request_rights import RequestRights
from answerable.targets.sql.scope import ScopeLimits
from answerable.wiring.target_kinds import installed_kinds

pytestmark = pytest.mark.requirement("RIGHTS-01", "RIGHTS-02")

HTTP = RequestRights(beside=BESIDE, method="GET")
REPOSITORIES = RequestRights(beside={"repositories": "repository", "permissions": "permission"})
NATS = {
    "publish": [["case", "7", "closed"], ["audit", {"any": "token"}], ["log", {"any": "rest"}]],
    "request": [["find", "case"], ["find", {"any": "rest"}]],
}
RABBIT = {
    "publish": [
        {"exchange": "cases"},
        {"exchange": "amq.topic", "routing_keys": [{"key": "case.7"}, {"prefix": "note."}]},
    ],
    "get": [{"queue": "inbox"}, {"queue": "other"}],
}
REQUESTS = {
    "scopes": ["cases.read"],
    "requests": [
        {"methods": ["GET", "POST"], "path": "/cases/7"},
        {"methods": ["GET"], "path": "/cases", "below": True},
        {"methods": ["DELETE"], "path": ["cases", "7"], "query": {"why": True}},
    ],
}
MODELS = {"models": ["small", "large"], "max_tokens": 100}
MARIADB = {
    "database": "prod",
    "tables": [{"name": "customers", "verbs": ["select", "update"], "columns": ["id"]}],
}
SSH = {"host": "one", "login": "deploy", "command": ["/bin/systemctl", "status", {"operand": "web"}]}
GITHUB = {
    "repositories": ["o/r"],
    "permissions": {"issues": "write"},
    "requests": [{"methods": ["GET", "POST"], "path": "/repos/o/r/issues"}],
}


def limits() -> ScopeLimits:
    return ScopeLimits(databases=frozenset({"prod"}), rows_max=10, seconds_max=10)


def mariadb_faults(scope: Any) -> tuple[str, ...]:
    found = mariadb_scope(scope.thaw(), limits())
    return () if isinstance(found, MariadbScope) else found


FAULTS: dict[str, Any] = {
    "nats": lambda scope: nats_grants(scope)[1],
    "rabbitmq": lambda scope: rabbit_grants(scope)[1],
    "http": lambda scope: http_faults(scope, tokens=True),
    "model": model_faults,
    "mariadb": mariadb_faults,
    "ssh": lambda scope: ssh_faults(scope, {"one"}),
    "github": lambda scope: github_faults(scope, "o"),
}
OF: dict[str, tuple[Any, Any]] = {
    "nats": (NatsRights(), NATS),
    "rabbitmq": (RabbitRights(), RABBIT),
    "http": (HTTP, REQUESTS),
    "model": (ModelRights(), MODELS),
    "mariadb": (MariadbRights(), MARIADB),
    "ssh": (SSHRights(), SSH),
    "github": (REPOSITORIES, GITHUB),
}
CASES = [
    ("nats", "publish", {"subject": "case.7.closed"}, {"publish/0"}, set()),
    ("nats", "publish", {"subject": "audit.x"}, {"publish/1"}, set()),
    ("nats", "publish", {"subject": "log.a.b"}, {"publish/2"}, set()),
    ("nats", "request", {"subject": "find.case"}, {"request/0", "request/1"}, set()),
    ("nats", "request", {"subject": "log.a"}, {"publish/2"}, {"request/0", "request/1"}),
    ("rabbitmq", "publish", {"exchange": "cases", "routing_key": "k"}, {"publish/0"}, set()),
    ("rabbitmq", "publish", {"exchange": "amq.topic", "routing_key": "case.7"}, {"publish/1/0"}, set()),
    ("rabbitmq", "publish", {"exchange": "amq.topic", "routing_key": "note.a"}, {"publish/1/1"}, set()),
    ("rabbitmq", "get", {"queue": "inbox", "mode": "take"}, {"get/0"}, set()),
    ("http", "read", {"path": "/cases/7"}, {"requests/0/GET", "requests/1/GET"}, set()),
    ("http", "request", {"method": "POST", "path": "/cases/7"}, {"requests/0/POST"}, set()),
    ("http", "request", {"method": "HEAD", "path": "/cases"}, {"requests/1/GET"}, set()),
    (
        "http",
        "request",
        {"method": "DELETE", "path": "/cases/7", "query": {"why": "x"}},
        {"requests/2/DELETE"},
        set(),
    ),
    ("model", "chat", {"model": "small", "messages": []}, {"models/0"}, set()),
    ("model", "chat", {"model": "large", "tools": [{}]}, {"models/1", "tools"}, set()),
    ("model", "list_models", {}, set(), set()),
    ("ssh", "run", {}, {"command"}, set()),
    ("github", "request", {"method": "GET", "path": "/repos/o/r/issues"}, {"requests/0/GET"}, set()),
]


@pytest.mark.parametrize(("kind", "tool", "arguments", "sure", "unsure"), CASES)
def test_a_call_used_what_it_needed_and_the_target_understands_what_is_left(
    kind, tool, arguments, sure, unsure
):
    rights, grants = OF[kind]
    assert not FAULTS[kind](freeze(grants)), "the example itself is understood"
    used = rights.used(freeze(grants), tool, arguments, None)
    assert (used.sure, used.unsure) == (sure, unsure)
    left = rights.narrowed(grants, used.all)
    if not used.all:
        assert left is None
        return
    assert not FAULTS[kind](freeze(left))
    again = rights.used(freeze(left), tool, arguments, None)
    assert len(again.all) == len(used.all)
    told = [right.text for right in rights.rights(left) if right.is_told]
    assert len(told) == len(used.all), "and nothing else is left of which is told"
    assert set(told) <= {right.text for right in rights.rights(grants)}


@pytest.mark.parametrize(
    ("kind", "tool", "arguments"),
    [
        ("nats", "publish", {"subject": "elsewhere"}),
        ("rabbitmq", "publish", {"exchange": "other", "routing_key": "x"}),
        ("http", "request", {"method": "GET", "path": "/x/../y"}),
        ("http", "request", {"method": "PUT", "path": "/cases/7"}),
        ("model", "chat", {"model": "another"}),
        ("mariadb", "query", {"sql": "SELECT id FROM customers"}),
    ],
)
def test_what_does_not_fit_what_was_granted_is_unknown(kind, tool, arguments):
    rights, grants = OF[kind]
    assert rights.used(freeze(grants), tool, arguments, None) is None


@pytest.mark.parametrize("kind", OF)
def test_what_is_no_grant_has_no_rights_and_the_whole_stays_whole(kind):
    rights, grants = OF[kind]
    places = [right.place for right in rights.rights(grants)]
    assert places
    assert len(set(places)) == len(places)
    assert rights.rights(rights.narrowed(grants, places)) == rights.rights(grants)
    for odd in (None, [], "x", {"tables": "x", "publish": 1, "requests": [1], "models": {}}):
        assert rights.rights(odd) == ()


def test_scopes_repositories_and_permissions_are_listed_and_stay():
    assert [right.text for right in HTTP.rights(REQUESTS) if not right.is_told] == ["scope cases.read"]
    found = [right.text for right in REPOSITORIES.rights(GITHUB) if not right.is_told]
    assert found == ["repository o/r", "permission issues: write"]
    left = REPOSITORIES.narrowed(GITHUB, {"requests/0/GET"})
    assert (left["repositories"], left["permissions"]) == (GITHUB["repositories"], GITHUB["permissions"])
    assert REPOSITORIES.narrowed({"repositories": ["o/r"]}, set()) == {"repositories": ["o/r"]}


def test_the_page_names_the_kinds_of_which_nobody_tells():
    untold = {
        kind
        for kind, (plugin,) in installed_kinds().items()
        if "rights=" not in inspect.getsource(import_module(plugin.entry.module))
    }
    page = (Path(__file__).parents[2] / "docs/how-to/shrink-what-an-agent-is-granted.md").read_text()
    (said,) = re.findall(r"^Nobody tells at all of targets of kind (.*)\.$", page, flags=re.M)
    assert {*re.findall(r"`([a-z_-]+)`", said)} == untold
