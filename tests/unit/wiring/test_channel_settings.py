from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteRegistryStore, SqliteStore
from answerable.core.approval.delivery import DigestLimits
from answerable.core.approval.route import Route
from answerable.wiring.channel_settings import hooks_in, routes_in, server_in
from answerable.wiring.reaching import reach_desk
from answerable.wiring.settings import parse_settings

pytestmark = pytest.mark.requirement("CHANNEL-10")

WHOLE = """
[channels]
routes = ["approvers email slack", "ops slack:C0123ABCD webhook:ops", "* push", "@requester email"]
email_server = "mail.example.com:587"
email_from = "answerable@example.com"
email_user = "answerable"
email_password = "file:mail.password"
slack_token = "env:SLACK_TOKEN"
webhooks = ["ops https://hooks.example/a file:ops.hook"]
push = true
push_contact = "ops@example.com"
"""


def faults_of(text: str) -> list[tuple[str, str]]:
    settings, found = parse_settings(text.encode(), data=Path("/nowhere"))
    assert (settings is None) == bool(found)
    return [(one.key, one.message) for one in found]


def test_a_whole_section_is_read():
    settings, found = parse_settings(WHOLE.encode(), data=Path("/nowhere"))
    assert found == []
    assert settings is not None
    assert routes_in(settings.channels) == (
        Route(group="approvers", channel="email"),
        Route(group="approvers", channel="slack"),
        Route(group="ops", channel="slack", place="C0123ABCD"),
        Route(group="ops", channel="webhook:ops", place="ops"),
        Route(group="*", channel="push"),
        Route(group="@requester", channel="email"),
    )
    assert server_in(settings.channels) == ("mail.example.com", 587)
    assert [one.name for one in hooks_in(settings.channels)] == ["ops"]


def test_how_many_messages_in_what_time_and_how_long_a_try_takes_are_as_the_settings_say(tmp_path):
    given = b"[channels]\nmessages_max = 3\ndigest_seconds = 90\ntry_seconds_max = 7\n"
    settings, found = parse_settings(given, data=tmp_path)
    assert found == []
    assert settings is not None
    with closing(SqliteStore.open(tmp_path / "registers.db")) as store:
        desk = reach_desk(settings, store, SqliteRegistryStore(store), "log.example")
    assert desk.limits.digest == DigestLimits(messages_max=3, window_ms=90_000)
    assert desk.limits.try_seconds_max == 7


def test_nothing_is_on_by_itself():
    settings, _ = parse_settings(b"", data=Path("/nowhere"))
    assert settings is not None
    assert routes_in(settings.channels) == ()
    assert not settings.channels.push


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ('routes = ["approvers"]', "channels.routes"),
        ('routes = [""]', "channels.routes"),
        ('routes = ["approvers pigeon"]', "channels.routes"),
        ('routes = ["Approvers email"]', "channels.routes"),
        ('routes = ["approvers email"]', "channels.routes"),
        ('routes = ["approvers slack"]', "channels.routes"),
        ('routes = ["approvers push"]', "channels.routes"),
        ('routes = ["approvers webhook:ops"]', "channels.routes"),
        ('routes = ["approvers slack:U0123ABCD"]', "channels.routes"),
        ('routes = ["@requester slack:C0123ABCD"]', "channels.routes"),
        ('routes = ["@requester webhook:ops"]', "channels.routes"),
        ('name_answerers = ["pigeon"]', "channels.name_answerers"),
        ('webhooks = ["ops https://hooks.example/a s3cr3t-itself"]', "channels.webhooks"),
        ('webhooks = ["ops http://hooks.example/a file:x"]', "channels.webhooks"),
        ('webhooks = ["ops https://hooks.example/a"]', "channels.webhooks"),
        ('webhooks = ["a https://x.example/ file:x", "a https://x.example/ file:x"]', "channels.webhooks"),
        ('email_server = "mail.example.com"', "channels.email_server"),
        ('email_server = "mail.example.com:99999"', "channels.email_server"),
        ('email_server = "mail.example.com:25"', "channels.email_from"),
        (
            'email_server = "m.example:25"\nemail_from = "a@b.example\\r\\nBcc: x@y.example"',
            "channels.email_from",
        ),
        (
            'email_server = "m.example:25"\nemail_from = "a@b.example"\nemail_tls = "none"',
            "channels.email_tls",
        ),
        ('email_tls = "sometimes"', "channels.email_tls"),
        ('email_user = "answerable"', "channels.email_password"),
        ('email_password = "file:x"', "channels.email_user"),
        ('email_password = "s3cr3t-itself"', "channels.email_password"),
        ('slack_token = "xoxb-s3cr3t-itself"', "channels.slack_token"),
        ('slack_url = "http://slack.example/api"', "channels.slack_url"),
        ("push = true", "channels.push_contact"),
        ('push_hosts = ["*"]', "channels.push_hosts"),
        ('push_hosts = ["https://push.example"]', "channels.push_hosts"),
        ('push_hosts = ["*.com/"]', "channels.push_hosts"),
    ],
)
def test_each_fault_is_told_by_its_key_and_shows_no_secret(section, key):
    found = faults_of(f"[channels]\n{section}\n")
    assert key in [one for one, _ in found]
    assert "s3cr3t" not in repr(found)


def test_every_fault_is_told_at_once():
    found = faults_of('[channels]\nroutes = ["a b"]\nemail_tls = "x"\npush = true\nslack_url = "x"\n')
    assert {key for key, _ in found} == {
        "channels.routes",
        "channels.email_tls",
        "channels.push_contact",
        "channels.slack_url",
    }
