"""From the settings file to a mail, a chat and a webhook: everything as `answerable up` puts it together."""

from __future__ import annotations

import json
from base64 import b64encode

import anyio
import pytest

from answerable.core.approval.notice import Notice
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.approval.notify_device import notify_device, push_side
from answerable.flows.approval.try_channel import try_channel
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.samples import document
from answerable.wiring.assemble import assembled
from answerable.wiring.reaching import kept_reaching
from answerable.wiring.settings import faults, load_settings
from tests.worlds.channel import MailBox, mail_server, slack_stand_in
from tests.worlds.event import hooked
from tests.worlds.federation import Authority, context_of
from tests.worlds.gateway import until
from tests.worlds.parts import to_apply
from tests.worlds.push import b64, push_service

pytestmark = pytest.mark.anyio
NOTICE = Notice(
    group="ops",
    agent=AgentId("scout"),
    mandate=MandateId("m-1"),
    capability="crm.refund",
    action_id="action-1",
    intent=1,
    at=UnixMillis(0),
)
PEOPLE = [
    document(
        "Principal",
        "bela",
        {
            "groups": ["ops"],
            "email": "bela@example.com",
            "slack": {"team": "T0123ABCD", "user": "U0BELA"},
        },
    ),
    document("Principal", "chen", {"groups": ["ops"]}),
]


@pytest.mark.requirement("CHANNEL-02")
async def test_what_settings_and_registry_say_reaches_people_on_every_channel(tmp_path):
    authority, box = Authority(), MailBox(user="answerable", password="s3cr3t word")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "ca.pem").write_bytes(authority.pem)
    (data / "mail.password").write_text("s3cr3t word\n")
    (data / "slack.token").write_text("xoxb-stand-in\n")
    (data / "ops.hook").write_text("whsec_" + b64encode(bytes(32)).decode())
    context = context_of(authority.leaf("127.0.0.1"), tmp_path)
    async with mail_server(box, context) as port:
        with slack_stand_in() as slack, hooked() as hook:
            (data / "answerable.toml").write_text(
                "[channels]\n"
                'routes = ["ops email slack", "* webhook:ops"]\n'
                'authorities = "file:ca.pem"\n'
                f'email_server = "127.0.0.1:{port}"\nemail_from = "answerable@example.com"\n'
                'email_user = "answerable"\nemail_password = "file:mail.password"\n'
                f'slack_token = "file:slack.token"\nslack_url = "{slack.server.url}/api/"\n'
                f'webhooks = ["ops {hook.url} file:ops.hook"]\n'
            )
            assert faults(data) == ()
            settings = load_settings(data)
            async with assembled(settings) as product:
                await apply_registry(*to_apply(product.walk), PEOPLE, by="operator")
                assert (
                    await try_channel(
                        product.walk.authority.registry,
                        product.walk.asking,
                        product.walk.clock,
                        product.walk.entropy,
                        "email",
                        "bela",
                    )
                ).state == "taken"
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(
                        kept_reaching,
                        product.walk.recorder,
                        product.walk.authority,
                        product.walk.asking,
                        product.walk.live.link,
                    )
                    product.walk.asking.channel.notify(NOTICE)
                    await until(lambda: len(box.mails) == 2 and slack.posted and hook.events, seconds=120)
                    tasks.cancel_scope.cancel()
                with pytest.raises(Refused) as refused:
                    await try_channel(
                        product.walk.authority.registry,
                        product.walk.asking,
                        product.walk.clock,
                        product.walk.entropy,
                        "email",
                        "chen",
                    )
    assert refused.value.code == "channel.receiver"
    assert {to for _, receivers in box.envelopes for to in receivers} == {"bela@example.com"}
    assert [one["channel"] for one in slack.posted] == ["U0BELA"]
    assert hook.events[0]["source"].startswith("urn:answerable:")
    assert "bela" not in json.dumps(hook.events)


@pytest.mark.requirement("CHANNEL-10")
@pytest.mark.parametrize(
    ("section", "files", "code"),
    [
        ('routes = ["ops slack"]\nslack_token = "file:gone"', {}, "secret.unreadable"),
        (
            'routes = ["ops webhook:a"]\nwebhooks = ["a https://x.example/ file:h"]',
            {"h": b"s3cr3t-in-clear"},
            "webhook.secret",
        ),
        (
            'routes = ["ops email"]\nauthorities = "file:ca"\nemail_server = "m.example:587"\n'
            'email_from = "a@b.example"',
            {"ca": b"s3cr3t"},
            "event_post.authorities",
        ),
        (
            'routes = ["ops email"]\nemail_server = "m.example:587"\nemail_from = "a@b.example"\n'
            'email_user = "a"\nemail_password = "file:p"',
            {"p": b"\xff\xfes3cr3t"},
            "secret.unreadable",
        ),
    ],
)
async def test_what_is_wrong_with_a_secret_is_said_at_the_start_without_it(tmp_path, section, files, code):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "answerable.toml").write_text(f"[channels]\n{section}\n")
    settings = load_settings(tmp_path)
    async with assembled(settings) as product:
        with pytest.raises((Malformed, Unavailable)) as told:
            await kept_reaching(
                product.walk.recorder, product.walk.authority, product.walk.asking, product.walk.live.link
            )
    assert told.value.code == code
    assert "s3cr3t" not in told.value.message


@pytest.mark.requirement("CHANNEL-12")
async def test_devices_are_told_under_one_key_that_outlives_a_restart(tmp_path):
    authority, data = Authority(), tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "ca.pem").write_bytes(authority.pem)
    with push_service(context_of(authority.leaf("127.0.0.1"), tmp_path)) as service:
        (data / "answerable.toml").write_text(
            '[channels]\nroutes = ["ops push"]\npush = true\npush_contact = "ops@example.com"\n'
            f'push_hosts = ["{service.host}"]\nauthorities = "file:ca.pem"\n'
        )
        keys = []
        for start in range(2):
            async with assembled(load_settings(data)) as product:
                walk = product.walk
                if start == 0:
                    await apply_registry(*to_apply(walk), PEOPLE, by="operator")
                    with pytest.raises(Refused) as refused:
                        await try_channel(
                            walk.authority.registry, walk.asking, walk.clock, walk.entropy, "push", "bela"
                        )
                    assert refused.value.code == "channel.receiver"
                    await notify_device(
                        walk.asking.reach,
                        walk.clock,
                        person=PrincipalId("bela"),
                        endpoint=service.endpoint,
                        key=b64(service.browser.key),
                        secret=b64(service.browser.secret),
                        label="phone",
                    )
                assert (
                    await try_channel(
                        walk.authority.registry, walk.asking, walk.clock, walk.entropy, "push", "bela"
                    )
                ).state == "taken"
                keys.append(push_side(walk.asking.reach).key)
    assert keys[0] == keys[1]
    assert service.keys == set(keys)
    assert len(service.taken) == 2
    assert (data / "keys" / "web-push.seed").stat().st_mode & 0o777 == 0o600


@pytest.mark.requirement("CHANNEL-12")
async def test_a_key_that_others_may_read_is_not_used_and_keeps_nobody_from_stopping_anything(tmp_path):
    (tmp_path / "answerable.toml").write_text(
        '[channels]\nroutes = ["ops push"]\npush = true\npush_contact = "ops@example.com"\n'
    )
    settings = load_settings(tmp_path)
    async with assembled(settings):
        pass
    (tmp_path / "keys" / "web-push.seed").chmod(0o644)
    async with assembled(settings) as product:
        assert product.walk.asking.reach is not None
        assert product.walk.asking.reach.push is None
        with pytest.raises(Unavailable) as told:
            await kept_reaching(
                product.walk.recorder, product.walk.authority, product.walk.asking, product.walk.live.link
            )
    assert told.value.code == "key.unreadable"
