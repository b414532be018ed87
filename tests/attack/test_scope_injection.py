"""Values of an action that try to become more than one name in the scope of its credential, for each kind of target."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.adapters.aws_sts.scope import faults_of as aws_faults
from answerable.adapters.github_app.scope import faults_of as github_faults
from answerable.adapters.http_target.scope import scope_faults as http_faults
from answerable.adapters.kubernetes_tokens.scope import faults_of as kubernetes_faults
from answerable.adapters.mariadb_accounts.scope import MariadbScope
from answerable.adapters.mariadb_accounts.scope import scope_of as mariadb_scope
from answerable.adapters.model_provider.scope import model_scope
from answerable.adapters.nats_users.grants import checked_grants as nats_grants
from answerable.adapters.postgres_roles.scope import PostgresScope
from answerable.adapters.postgres_roles.scope import scope_of as postgres_scope
from answerable.adapters.rabbitmq_users.grants import checked_grants as rabbitmq_grants
from answerable.adapters.redis_acl.grants import checked_grants as redis_grants
from answerable.adapters.ssh_certificates.scope import grant_faults
from answerable.core.lease.scope import Scope, filled
from answerable.errors import AnswerableError, Refused
from answerable.targets.sql.scope import ScopeLimits

pytestmark = pytest.mark.requirement("LEASE-11")

# Of quotes, wildcards, paths, options, escapes, other alphabets and other encodings.
HOSTILE = (
    "*", "**", "?", "[a-z]", "[^x]", ">", "a.>", "a.*", "..", "../x", "a/../b", "/", "a/b", "//x", "\\", "\\*",
    "'", "''", '"', "`", "a`b", "';--", "' OR '1'='1", '"; DROP TABLE x; --', "$$", "${aws:username}",
    "%2e%2e%2f", "%00", "a\u2024b", "\uff0e\uff0e", "\uff0f", "a b", "-x", "--help", "-oProxyCommand=x",
    "$(id)", "`id`", "|", "a|b", ".*", "(a|b)", "a)|(b", "^", "$", "a$", "x\\z", "\\E.*", "{resource}",
    "{argument.x}", "{", "}", "&", "a&b=c", "#", ";", "~*", "%R~*", "+@all", "allkeys", "&*", "on", "nopass",
    ",", "a,b", "\u00e9", "\U0001f512", "A", "null", "true", "1", "0",
)  # fmt: skip
NEVER = ("", "\0", "a\0b", "a\nb", "a\r\nX: 1", "\t", "\x1b[2J", "\u202e", "\ud800", "x" * 513, "\u2028")


def scope(grants: Any, value: str) -> Scope | None:
    """The scope that the action of this value gets, if any."""
    try:
        return filled(grants, {"resource": value})
    except AnswerableError:
        return None


@pytest.mark.parametrize("value", NEVER)
def test_what_is_no_line_of_text_fills_no_scope(value):
    with pytest.raises(AnswerableError):
        filled({"a": "x{resource}"}, {"resource": value})


@pytest.mark.parametrize("grants", ["{resource}", "a{resource}b", "{resource}{resource}"])
def test_a_value_is_put_in_as_it_is_and_once(grants):
    for value in (*HOSTILE, "ok-7"):
        found = scope({"a": [grants]}, value)
        assert found is not None
        before, *others = grants.split("{resource}")
        assert found.thaw() == {"a": [before + "".join(value + one for one in others)]}


def kept_to(what: str, value: str) -> bool:
    """Whether the kind either refuses the scope, or grants exactly what this one value names."""
    found = kept_by_servers(what, value)
    return kept_by_services(what, value) if found is None else found


def kept_by_servers(what: str, value: str) -> bool | None:
    """Of databases and brokers of messages; None for other kinds."""
    limits = ScopeLimits(databases=frozenset({"prod"}), rows_max=10, seconds_max=5)
    match what:
        case "postgres rows":
            rows = {"column": "case_id", "equals": "{resource}"}
            table = {"name": "public.t", "verbs": ["select"], "rows": rows}
            pg = postgres_scope(scope({"database": "prod", "tables": [table]}, value).thaw(), limits)
            return isinstance(pg, PostgresScope) and pg.tables[0].rows.equals == value
        case "postgres table":
            table = {"name": ["public", "{resource}"], "verbs": ["select"]}
            pg = postgres_scope(scope({"database": "prod", "tables": [table]}, value).thaw(), limits)
            return not isinstance(pg, PostgresScope) or pg.tables[0].table.name == value
        case "postgres table in a text":
            table = {"name": "public.{resource}", "verbs": ["select"]}
            pg = postgres_scope(scope({"database": "prod", "tables": [table]}, value).thaw(), limits)
            return not isinstance(pg, PostgresScope) or (
                pg.tables[0].table.name == value and pg.tables[0].table.schema == "public"
            )
        case "mariadb table":
            asked = {"database": "prod", "tables": [{"name": "{resource}", "verbs": ["select"]}]}
            own = ScopeLimits(databases=frozenset({"prod"}), rows_max=10, seconds_max=5)
            found = mariadb_scope(scope(asked, value).thaw(), own)
            return not isinstance(found, MariadbScope) or found.tables[0].table == value
        case "redis key" | "redis prefix":
            member = what.removeprefix("redis ")
            asked = {"keys": [{member: "case:{resource}:"}], "commands": ["get"]}
            redis, faults = redis_grants(scope(asked, value))
            return bool(faults) or fits_redis(redis.parts[0].keys[0].pattern(), f"case:{value}:", member)
        case "rabbitmq queue":
            rabbit, faults = rabbitmq_grants(scope({"get": [{"queue": "q.{resource}"}]}, value))
            return bool(faults) or rabbit.queues == (f"q.{value}",)
        case "nats token":
            nats, faults = nats_grants(scope({"publish": [["case", "{resource}"]]}, value))
            return bool(faults) or (nats.publish == (f"case.{value}",) and not set(value) & set("*>. "))
    return None


def kept_by_services(what: str, value: str) -> bool:
    """Of all others."""
    match what:
        case "http segment":
            asked = {"requests": [{"methods": ["GET"], "path": ["cases", "{resource}"]}]}
            return bool(http_faults(scope(asked, value), tokens=False)) or not set(value) & set("/\\%?#;")
        case "aws arn":
            arn = ["arn:aws:s3:::bucket", "{resource}"]
            asked = {
                "role": "arn:aws:iam::1:role/r",
                "statements": [{"effect": "Allow", "actions": ["s3:GetObject"], "resources": [arn]}],
            }
            faults = aws_faults(scope(asked, value), {"arn:aws:iam::1:role/r"})
            return bool(faults) or not set(value) & set('/*?$"\\: ')
        case "github repository":
            asked = {"repositories": ["acme/{resource}"], "permissions": {"issues": "read"}}
            return bool(github_faults(scope(asked, value), "acme")) or value.replace("-", "").isalnum()
        case "kubernetes name":
            rule = {
                "apiGroups": [""],
                "resources": ["pods"],
                "verbs": ["get"],
                "resourceNames": ["{resource}"],
            }
            faults = kubernetes_faults(scope({"namespace": "ns", "rules": [rule]}, value), {"ns"})
            return bool(faults) or value.replace("-", "").isalnum()
        case "kubernetes namespace":
            rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
            asked = {"namespace": "{resource}", "rules": [rule]}
            return bool(kubernetes_faults(scope(asked, value), {"ns"}))
        case "model":
            try:
                return model_scope(scope({"models": ["{resource}"]}, value)).models == (value,)
            except Refused:
                return True
        case "ssh path":
            asked = {"host": "web1", "login": "app", "command": ["/bin/cat", "/var/log/{resource}"]}
            return bool(grant_faults(scope(asked, value), {"web1"})) or ".." not in value.split("/")
        case "ssh operand":
            command = ["/bin/cat", {"operand": "{resource}"}]
            asked = {"host": "web1", "login": "app", "command": command}
            return bool(grant_faults(scope(asked, value), {"web1"})) or not value.startswith("-")
        case "ssh login":
            asked = {"host": "web1", "login": "{resource}", "command": ["/bin/true"]}
            return bool(grant_faults(scope(asked, value), {"web1"})) or value.isalnum()
    raise AssertionError(what)


def fits_redis(pattern: str, name: str, member: str) -> bool:
    """Whether each character of the name stands in the pattern as itself."""
    body = pattern.removesuffix("*") if member == "prefix" else pattern
    plain, at = "", 0
    while at < len(body):
        if body[at] == "\\":
            at += 1
        elif body[at] in "*?[]^":
            return False
        plain += body[at]
        at += 1
    return plain == name


KINDS = (
    "postgres rows", "postgres table", "postgres table in a text", "mariadb table", "redis key", "redis prefix",
    "rabbitmq queue", "nats token", "http segment", "aws arn", "github repository", "kubernetes name",
    "kubernetes namespace", "model", "ssh path", "ssh operand", "ssh login",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_names_one_thing_or_is_refused(kind):
    assert [value for value in HOSTILE if not kept_to(kind, value)] == []
