"""Settings of clicks in a chat: every fault is told with what to do, and none shows a secret."""

from __future__ import annotations

import pytest

from answerable.errors import Malformed
from answerable.wiring.clicks import click_desk, signing_secret
from answerable.wiring.settings import faults, load_settings

pytestmark = pytest.mark.requirement("BUTTON-08")
CHANNELS = (
    '[channels]\nroutes = ["* slack"]\nslack_token = "file:token"\nslack_signing_secret = "file:signing"\n'
)
CONSOLE = '[console]\norigin = "https://answerable.example"\n'
WALK = '[walk]\nsignatures = ["chat", "chat", "any", "passkey"]\n'


def written(tmp_path, text: str, signing: bytes = b"8f742231b10e8888abcd99baac85a501\n"):
    (tmp_path / "token").write_text("xoxb-1\n")
    (tmp_path / "signing").write_bytes(signing)
    (tmp_path / "answerable.toml").write_text(text)
    return tmp_path


def test_a_deployment_that_says_nothing_of_clicks_takes_none(tmp_path):
    settings = load_settings(written(tmp_path, ""))
    assert settings.walk.signatures == ("any",) * 4
    assert click_desk(settings) is None


def test_a_signing_secret_alone_turns_nothing_on(tmp_path):
    data = written(tmp_path, CHANNELS + CONSOLE)
    assert faults(data) == ()
    assert click_desk(load_settings(data)) is None


def test_all_that_is_needed_is_set_and_clicks_are_taken(tmp_path):
    data = written(tmp_path, CHANNELS + CONSOLE + WALK)
    assert faults(data) == ()
    settings = load_settings(data)
    assert click_desk(settings) is not None
    assert signing_secret(settings) == b"8f742231b10e8888abcd99baac85a501"


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        (CHANNELS + CONSOLE + '[walk]\nsignatures = ["any", "any", "any", "chat"]\n', "walk.signatures", "tier 3"),
        (CHANNELS + CONSOLE + '[walk]\nsignatures = ["chat", "chat", "chat", "chat"]\n', "walk.signatures", "tier 3"),
        (CHANNELS + CONSOLE + '[walk]\nsignatures = ["chat", "chat", "chat"]\n', "walk.signatures", "`chat`"),
        (CHANNELS.replace("slack_signing_secret", "# x") + CONSOLE + WALK, "slack_signing_secret", "set it"),
        (CHANNELS.replace('"file:signing"', '"s3cr3t-in-clear"') + CONSOLE, "slack_signing_secret", "a reference"),
        (CHANNELS.replace("slack_token", "# x").replace("* slack", "* email") + CONSOLE, "slack_token", "messages"),
        (CHANNELS + WALK, "console.origin", "set it"),
        (CHANNELS + CONSOLE + "enabled = false\n" + WALK, "console.origin", "enable the console"),
        (CHANNELS + CONSOLE + WALK + "look_seconds_min = [0, 3, 0, 9]\n", "walk.look_seconds_min", "tier 1 asks"),
        (CHANNELS.replace("* slack", "a slack:C0123") + CONSOLE + WALK, "channels.routes", "to a person"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_key_and_what_to_do(tmp_path, text, key, says):
    found = [one for one in faults(written(tmp_path, text)) if key in one]
    assert found, faults(tmp_path)
    assert says in " ".join(found)
    assert "s3cr3t" not in " ".join(faults(tmp_path))


@pytest.mark.parametrize("signing", [b"", b"short", b"\xff" * 32, b"x" * 300])
def test_what_is_no_signing_secret_is_said_without_it(tmp_path, signing):
    settings = load_settings(written(tmp_path, CHANNELS + CONSOLE + WALK, signing))
    with pytest.raises(Malformed) as refused:
        signing_secret(settings)
    assert refused.value.code == "secret.slack"
    assert "short" not in refused.value.message.replace("shorter", "")


def test_routes_that_cannot_be_read_are_told_once(tmp_path):
    found = faults(written(tmp_path, CHANNELS.replace("* slack", "approvers") + CONSOLE + WALK))
    assert len([one for one in found if "channels.routes" in one]) == 1
