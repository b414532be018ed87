import re

import pytest

from answerable.adapters.rabbitmq_users.grants import NOTHING, checked_grants, whole
from answerable.core.canonical import freeze
from answerable.targets.addresses import address_faults


def test_names_are_literals_from_end_to_end():
    grants, faults = checked_grants(
        freeze(
            {
                "publish": [
                    {"exchange": "a.b"},
                    {"exchange": "t", "routing_keys": [{"key": "k*"}, {"prefix": "p."}]},
                ],
                "get": [{"queue": "q|{username}"}],
            }
        )
    )
    assert grants is not None, faults
    assert grants.permissions() == {
        "configure": NOTHING,
        "write": r"\A(?:a\.b|t)\z",
        "read": r"\A(?:q\|\{username\})\z",
    }
    assert grants.topic_permissions() == [{"exchange": "t", "write": r"\A(?:k\*|p\..*)\z", "read": NOTHING}]


def test_nothing_matches_nothing():
    assert whole(()) == NOTHING
    assert not re.match(NOTHING, "")
    assert not re.match(NOTHING, "a")


@pytest.mark.parametrize(
    "scope",
    [
        None,
        [],
        {},
        {"publish": []},
        {"publish": "log"},
        {"publish": ["log"]},
        {"publish": [{"exchange": "log", "more": 1}]},
        {"publish": [{"exchange": ""}]},
        {"publish": [{"exchange": "amq.default"}]},
        {"publish": [{"exchange": "amq.rabbitmq.trace"}]},
        {"publish": [{"exchange": "a"}, {"exchange": "a"}]},
        {"publish": [{"exchange": f"a{n}"} for n in range(33)]},
        {"publish": [{"exchange": "a", "routing_keys": []}]},
        {"publish": [{"exchange": "a", "routing_keys": "k"}]},
        {"publish": [{"exchange": "a", "routing_keys": ["k"]}]},
        {"publish": [{"exchange": "a", "routing_keys": [{"key": "k", "prefix": "k"}]}]},
        {"publish": [{"exchange": "a", "routing_keys": [{"prefix": ""}]}]},
        {"get": [{"queue": "a"}], "publish": [{"exchange": "a"}]},
        {"get": [{"queue": "amq.rabbitmq.reply-to"}]},
        {"get": [{"prefix": "a"}]},
        {"get": [{"queue": 7}]},
        {"get": [{"queue": "a" * 256}]},
        {"get": [{"queue": "a\n"}]},
        {"get": [{"queue": "a"}], "configure": [{"queue": "a"}]},
    ],
)
def test_what_is_not_understood_whole_grants_nothing(scope):
    grants, faults = checked_grants(freeze(scope))
    assert grants is None
    assert faults


@pytest.mark.parametrize(
    ("address", "is_right"),
    [
        ("amqp://127.0.0.1:5672", True),
        ("amqps://bus.example.test", True),
        ("amqp://bus.example.test", False),
        ("amqps://me:secret@bus.example.test", False),
        ("amqps://bus.example.test/vhost", False),
        ("amqps://bus.example.test?no_verify_ssl=1", False),
        ("https://bus.example.test", False),
        ("amqps://bus.example.test:port", False),
    ],
)
def test_an_address_says_where_the_server_is_and_no_more(address, is_right):
    faults = address_faults(address, ("amqp", "amqps"), plain_is_let=False)
    assert bool(faults) is not is_right
    assert "secret" not in " ".join(faults)
