"""Which secrets the broker changes at their targets by itself: its own accounts' alone, and none that others need."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.errors import Refused
from answerable.wiring.broker_secrets import (
    broker_secrets,
    own_secret_of,
    secret_desk,
    secrets_elsewhere,
    secrets_used,
    target_context,
)
from answerable.wiring.settings import load_settings
from answerable.wiring.target_files import checked_targets

POSTGRES = 'kind = "postgres"\ndatabases = ["prod"]\npassword = "store:one"\n'
HTTP = 'kind = "http"\nbase_url = "https://crm.example"\nauth = "basic"\nsecret_name = "us"\nsecret = "store:{}"\n'
REDIS = 'kind = "redis"\naddress = "redis://127.0.0.1:6379"\npassword = "store:one"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "broker/targets").mkdir(parents=True)
    return tmp_path


def found(folder: Path, **files: str):
    for name, text in files.items():
        (folder / "broker/targets" / f"{name}.toml").write_text(text)
    settings = load_settings(folder)
    targets = checked_targets(settings.broker.targets)
    built = [(one, one.kind.build(one.settings, target_context(settings, one.name))) for one in targets]
    return settings, targets, broker_secrets(built)


def test_the_password_of_one_account_is_changed_also_where_two_targets_are_one_account(folder):
    _, targets, own = found(folder, a=POSTGRES, b=POSTGRES + "rows_max = 5\n")
    assert own["one"].account is not None
    assert secrets_used(targets) == {"a": frozenset({"one"}), "b": frozenset({"one"})}


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (POSTGRES + "port = 6432\n", "password of target b"),
        (POSTGRES + 'account = "another"\n', "password of target b"),
        (HTTP.format("one"), "secret of target b"),
        (REDIS, "password of target b"),
    ],
    ids=["another server", "another account", "another setting", "another kind"],
)
def test_a_secret_that_something_else_needs_too_is_changed_by_nobody(folder, other, why):
    _, _, own = found(folder, a=POSTGRES, b=other)
    assert own["one"].account is None
    assert why in own["one"].why_not


def test_a_secret_of_another_kind_says_why_it_is_not_ours_to_change(folder):
    _, _, own = found(folder, a=HTTP.format("key"), b=REDIS)
    assert (own["key"].account, own["one"].account) == (None, None)
    assert "secret of target a" in own["key"].why_not
    assert "saves_users" in own["one"].why_not


def test_where_the_settings_say_so_nothing_is_changed_by_the_broker_itself(folder):
    (folder / "answerable.toml").write_text("[broker]\nrotate_accounts = false\nrefuse_exposed = false\n")
    settings, targets, own = found(folder, a=POSTGRES)
    desk = secret_desk(settings, targets, own, target_context(settings, "a").entropy)
    assert desk.own["one"].account is None
    assert "rotate_accounts" in desk.own["one"].why_not
    assert not desk.refuses_exposed
    assert own_secret_of(settings, "a").account is not None, "by hand it goes"


def test_what_is_in_files_is_known_by_setting_and_target_and_certificates_are_no_secrets(folder):
    files = HTTP.format("key") + 'authorities = "file:ca.pem"\n'
    for name in ("one", "ca.pem"):
        (folder / "broker/targets" / name).write_text(f"content-of-{name}\n")
    settings, targets, _ = found(folder, a=POSTGRES.replace("store:one", "file:one"), b=files, c=REDIS)
    assert secrets_elsewhere(settings, targets) == {"password of target a": "content-of-one"}
    assert secrets_used(targets) == {
        "a": frozenset({"password of target a"}),
        "b": frozenset({"key"}),
        "c": frozenset({"one"}),
    }
    (folder / "broker/targets/one").unlink()
    assert secrets_elsewhere(settings, targets) == {}


def test_a_target_without_a_password_in_the_store_says_how_to_put_it_there(folder):
    settings, _, _ = found(folder, a=POSTGRES.replace("store:one", "file:one"))
    with pytest.raises(Refused) as refused:
        own_secret_of(settings, "a")
    assert refused.value.code == "secret.unrotatable"
    assert "answerable secret put" in refused.value.message
    with pytest.raises(Refused) as unknown:
        own_secret_of(settings, "nothing")
    assert unknown.value.code == "target.unknown"
