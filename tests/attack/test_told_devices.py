"""Whose device is told, who may say so, and where a device could lead this server."""

from __future__ import annotations

import json

import pytest

from answerable.adapters.sqlite import SqliteDeliveryRegister, SqlitePushRegister
from answerable.core.approval.push_device import PushDevice, check_device, is_endpoint
from answerable.core.identity.names.principal import PrincipalId
from answerable.errors import AnswerableError
from answerable.flows.state.reach_desk import NotificationState, PushSide
from answerable.testing.clock import START
from answerable.testing.registers import fresh
from answerable.wiring.channel_settings import ChannelSettings
from tests.probes.console_client import console_house
from tests.worlds.push import Browser, b64

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CHANNEL-13")]
HOSTS = ChannelSettings().push_hosts
ENDPOINT = "https://fcm.googleapis.com/fcm/send/abc:def"


def given(endpoint: str = ENDPOINT, **changes: object) -> dict[str, object]:
    browser = Browser()
    return {
        "endpoint": endpoint,
        "key": b64(browser.key),
        "secret": b64(browser.secret),
        "label": "my phone",
        **changes,
    }


async def house_with_push():
    house = await console_house()
    register = fresh(SqlitePushRegister)
    house.bench.asking.reach = NotificationState(
        register=fresh(SqliteDeliveryRegister), push=PushSide(register=register, key="BKey", hosts=HOSTS)
    )
    return house, register


async def test_a_person_has_a_device_told_and_takes_it_back():
    house, register = await house_with_push()
    browser = await house.signed_in()
    assert "None of your devices" in (await browser.page("/devices")).text
    assert (await browser.script("/devices/begin", {}, signed_in=True)).json() == {"key": "BKey"}
    added = await browser.script("/devices/add", given(label="<b>phone\u202e"), signed_in=True)
    assert added.status_code == 200, added.text
    (device,) = register.of("alice")
    assert device.endpoint == ENDPOINT
    page = (await browser.page("/devices")).text
    assert "&lt;b&gt;phone\\u{202e}" in page
    assert ENDPOINT not in page
    assert b64(device.secret) not in page
    assert device.endpoint not in repr(device)
    gone = await browser.form("/devices/remove", id=device.id)
    assert gone.status_code == 303
    assert register.of("alice") == ()
    assert (await browser.form("/devices/remove", id=device.id)).status_code == 403


async def test_whoever_showed_who_they_are_too_long_ago_must_show_it_again():
    house, register = await house_with_push()
    browser = await house.signed_in()
    await browser.page("/devices")
    house.wait(301)
    for path in ("/devices/begin", "/devices/add"):
        stale = await browser.script(path, given(), signed_in=True)
        assert (stale.status_code, stale.json()["code"]) == (401, "console.not_fresh")
    await browser.confirm(house.device)
    assert (await browser.script("/devices/add", given(), signed_in=True)).status_code == 200
    assert len(register.of("alice")) == 1


async def test_a_stolen_cookie_silences_nobody():
    """Whoever is not told of a question cannot say no to it."""
    house, register = await house_with_push()
    browser = await house.signed_in()
    await browser.page("/devices")
    await browser.script("/devices/add", given(), signed_in=True)
    (device,) = register.of("alice")
    house.wait(301)
    stale = await browser.form("/devices/remove", id=device.id)
    assert stale.status_code == 401
    assert register.of("alice") == (device,)
    await browser.confirm(house.device)
    assert (await browser.form("/devices/remove", id=device.id)).status_code == 303
    assert register.of("alice") == ()


async def test_nobody_else_adds_or_removes_a_device():
    house, register = await house_with_push()
    browser = await house.signed_in()
    await browser.page("/devices")
    await browser.script("/devices/add", given(), signed_in=True)
    theirs = PushDevice(
        person=PrincipalId("bob"),
        endpoint=ENDPOINT + "2",
        key=Browser().key,
        secret=bytes(16),
        label="bob's",
        made_at=START,
    )
    register.add(theirs)
    assert (await browser.form("/devices/remove", id=theirs.id)).status_code == 403
    assert register.of("bob") == (theirs,)
    assert "bob&#39;s" not in (await browser.page("/devices")).text
    # Without the session's token, and from another site.
    forged = await browser.ask(
        "POST", "/devices/add", json=given(), headers={"origin": "https://evil.example"}
    )
    assert forged.status_code == 403
    browser.csrf = "x" * 43
    assert (await browser.script("/devices/add", given(), signed_in=True)).status_code == 403
    assert len(register.of("alice")) == 1


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://fcm.googleapis.com@127.0.0.1/x",
        "https://127.0.0.1#fcm.googleapis.com/x",
        "https://127.0.0.1\\@fcm.googleapis.com/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com/x",
        "https://evil.example/fcm.googleapis.com",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com:443@evil.example/x",
        "https://fcm.googleapis.com.:443/x",
        "https://FCM.googleapis.com/x",
        "https://push.services.mozilla.com/x",
        "https://.push.services.mozilla.com/x",
        "https://evilpush.services.mozilla.com/x",
        "https://fcm.googleapis.com/x y",
        "https://fcm.googleapis.com/x\r\nhost: evil",
        "https://fcm.googleapis.com/ü",
        "https://fcm.googleapis.com",
        "HTTPS://fcm.googleapis.com/x",
        " https://fcm.googleapis.com/x",
        "https:/fcm.googleapis.com/x",
        "//fcm.googleapis.com/x",
        "file:///etc/passwd",
        "https://fcm.googleapis.com/" + "x" * 1_024,
        "",
    ],
)
async def test_a_device_at_no_listed_push_service_is_refused(endpoint):
    assert not is_endpoint(endpoint, HOSTS)
    house, register = await house_with_push()
    browser = await house.signed_in()
    await browser.page("/devices")
    answer = await browser.script("/devices/add", given(endpoint), signed_in=True)
    assert (answer.status_code, answer.json()["code"]) == (403, "push.host")
    assert register.of("alice") == ()


@pytest.mark.parametrize(
    "endpoint",
    [
        ENDPOINT,
        "https://fcm.googleapis.com:443/x",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAA-_=",
        "https://web.push.apple.com/QABC",
        "https://db5p.notify.windows.com/w/?token=BQYAAA%2b%3d",
    ],
)
def test_the_push_services_that_there_are_are_taken(endpoint):
    assert is_endpoint(endpoint, HOSTS)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": b64(b"\x04" + bytes(64))},
        {"key": b64(bytes(65))},
        {"key": b64(Browser().key[:-1])},
        {"key": "not base64url!"},
        {"key": ""},
        {"secret": b64(bytes(15))},
        {"secret": b64(bytes(16)) + "="},
        {"secret": "A"},
        {"label": ""},
        {"label": "x" * 61},
        {"label": 7},
        {"label": None},
        {"person": "bob"},
    ],
)
async def test_what_no_browser_hands_over_is_refused(changes):
    house, register = await house_with_push()
    browser = await house.signed_in()
    await browser.page("/devices")
    answer = await browser.script("/devices/add", given(**changes), signed_in=True)
    assert answer.status_code == 400, answer.text
    assert register.of("alice") == register.of("bob") == ()


async def test_where_push_is_off_the_page_says_so_and_nothing_is_taken():
    house = await console_house()
    browser = await house.signed_in()
    for reach in (None, NotificationState(register=fresh(SqliteDeliveryRegister))):
        house.bench.asking.reach = reach
        assert "channels.push" in (await browser.page("/devices")).text
        off = await browser.script("/devices/add", given(), signed_in=True)
        assert (off.status_code, off.json()["code"]) == (403, "push.off")


async def test_worker_and_manifest_are_the_same_for_everybody_and_hold_nothing_of_anybody():
    house, _ = await house_with_push()
    browser = await house.signed_in()
    worker = await browser.page("/worker.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert "default-src 'none'" in worker.headers["content-security-policy"]
    # All that it opens is a page of ours, by an id.
    assert worker.text.count("openWindow") == 1
    assert "`/approvals/${id}`" in worker.text
    assert "url" not in worker.text.lower()
    manifest = await browser.page("/manifest.webmanifest")
    said = json.loads(manifest.text)
    assert (said["scope"], said["start_url"]) == ("/", "/approvals")
    # A browser installs nothing without a name and a picture that is there.
    (icon,) = said["icons"]
    picture = await browser.page(icon["src"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, icon["type"])
    assert said["name"] == said["short_name"] == "Answerable"
    browser.cookie = ""
    assert (await browser.page("/worker.js")).text == worker.text
    assert (await browser.page("/devices")).status_code == 303


def test_a_device_is_checked_whoever_hands_it_over():
    device = PushDevice(
        person=PrincipalId("bob"),
        endpoint="https://127.0.0.1/x",
        key=Browser().key,
        secret=bytes(16),
        label="x",
        made_at=START,
    )
    with pytest.raises(AnswerableError) as refused:
        check_device(device, HOSTS)
    assert refused.value.code == "push.host"
