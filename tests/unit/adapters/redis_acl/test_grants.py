import pytest

from answerable.adapters.redis_acl.grants import checked_grants
from answerable.adapters.redis_acl.server import address_faults
from answerable.core.canonical import freeze

READ = {"keys": [{"key": "a"}], "commands": ["get"]}


def rules(scope):
    grants, faults = checked_grants(freeze(scope))
    assert grants is not None, faults
    return grants.rules()


def test_texts_are_literals_and_what_is_open_is_said_by_a_member():
    scope = {
        "keys": [
            {"key": "a*"},
            {"prefix": "b?[c]^\\", "access": "both"},
            {"prefix": "d:", "suffix": ":*e", "access": "write"},
        ],
        "commands": ["get"],
        "channels": [{"prefix": "n*"}],
    }
    assert rules(scope) == [
        "%R~a\\*",
        "%RW~b\\?\\[c\\]\\^\\\\*",
        "%W~d:*:\\*e",
        "&n\\**",
        "+get",
        "+publish",
    ]


def test_further_parts_are_selectors_that_begin_with_nothing():
    assert rules({**READ, "also": [{"channels": [{"channel": "c"}]}]}) == [
        "%R~a",
        "+get",
        "(-@all &c +publish)",
    ]


@pytest.mark.parametrize(
    "scope",
    [
        None,
        [],
        {},
        {"keys": []},
        {"keys": [{"key": "a"}]},
        {"commands": ["get"]},
        {**READ, "other": 1},
        {**READ, "commands": "get"},
        {**READ, "keys": "a"},
        {**READ, "keys": ["a"]},
        {**READ, "keys": [{"key": ""}]},
        {**READ, "keys": [{"prefix": ""}]},
        {**READ, "keys": [{"key": "a", "prefix": "b"}]},
        {**READ, "keys": [{"key": "a", "suffix": "b"}]},
        {**READ, "keys": [{"key": "a", "access": "all"}]},
        {**READ, "keys": [{"key": "a", "access": ["read"]}]},
        {**READ, "keys": [{"key": 7}]},
        {**READ, "keys": [{"key": "a" * 1025}]},
        {**READ, "keys": [{"key": "a"}] * 65},
        {**READ, "channels": [{"channel": "c", "access": "read"}]},
        {**READ, "also": {}},
        {**READ, "also": [READ] * 8},
        {**READ, "also": [{**READ, "also": []}]},
        *({**READ, "keys": [{"key": text}]} for text in ("a b", 'a"', "a'", "(a", "a)", "a\n", "a\x00")),
        *(
            {**READ, "commands": [name]}
            for name in (
                "@all",
                "+@all",
                "GET",
                "eval",
                "fcall",
                "script",
                "function",
                "keys",
                "scan",
                "sort",
                "copy",
                "config",
                "acl",
                "client",
                "debug",
                "module",
                "migrate",
                "slaveof",
                "replicaof",
                "shutdown",
                "select",
                "auth",
                "hello",
                "reset",
                "multi",
                "subscribe",
                "monitor",
                "flushall",
                "dump",
                "restore",
                "get ~*",
                "config|get",
                7,
            )
        ),
    ],
)
def test_what_is_not_understood_whole_grants_nothing(scope):
    grants, faults = checked_grants(freeze(scope))
    assert grants is None
    assert all(faults)


@pytest.mark.parametrize(
    ("address", "is_right"),
    [
        ("redis://127.0.0.1:6379", True),
        ("redis://[::1]:6379", True),
        ("redis://localhost", True),
        ("rediss://cache.example.test", True),
        ("unix:///run/redis.sock", True),
        ("redis://cache.example.test", False),
        ("rediss://me:secret@cache.example.test", False),
        ("rediss://cache.example.test/3", False),
        ("rediss://cache.example.test?ssl_cert_reqs=none", False),
        ("rediss://cache.example.test:port", False),
        ("unix://run/redis.sock", False),
        ("http://127.0.0.1", False),
        ("", False),
    ],
)
def test_an_address_says_where_the_server_is_and_no_more(address, is_right):
    faults = address_faults(address, plain_is_let=False)
    assert bool(faults) is not is_right
    assert "secret" not in " ".join(faults)


def test_another_machine_is_reached_in_the_clear_only_where_that_is_said():
    assert address_faults("redis://cache.example.test", plain_is_let=True) == ()
