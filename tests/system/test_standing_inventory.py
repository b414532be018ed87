"""`answerable credential inventory` as its users run it: a real store, real target files, leases that were used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import answerable
from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Revoked
from answerable.core.lease.lease import Lease
from answerable.core.lease.name import lease_name

STORED = "canary-stored-password-4242"
FILED = "canary-filed-password-4343"
INLINE = "canary-inline-password-4444"
TARGETS = {
    "shop-db": (
        'kind = "postgres"\ndatabases = ["prod"]\naccount = "broker_of_shop"\n'
        'password = "store:shop-db-password"\n'
    ),
    "cache": 'kind = "redis"\naddress = "redis://127.0.0.1:6379"\npassword = "file:cache-password"\n',
    "crm": (
        'kind = "http"\nbase_url = "https://crm.example"\nauth = "api_key_header"\nsecret_name = "x-key"\n'
        'secret = "env:CRM_KEY"\nauthorities = "file:ca.pem"\n'
    ),
}
USED_AT = UnixMillis(1_795_000_000_000)


class Inventory:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.put_between = (0, 0)
        self.environment = {**os.environ, "PYTHONPATH": str(Path(answerable.__file__).parent.parent)}

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "answerable.main", *words, "--data", str(self.data)],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        for value in (STORED, FILED, INLINE):
            assert value not in done.stdout + done.stderr
        return done

    def listed(self, *more: str, code: int = 0) -> dict[tuple[str, str], dict[str, object]]:
        done = self.run("credential", "inventory", "--json", *more)
        assert done.returncode == code, done.stdout + done.stderr
        return {(one["where"], one["name"]): one for one in json.loads(done.stdout)["found"]}


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    targets = tmp_path / "broker/targets"
    targets.mkdir(parents=True)
    for path in (tmp_path, tmp_path / "broker", targets):
        path.chmod(0o700)
    for name, text in TARGETS.items():
        (targets / f"{name}.toml").write_text(text)
    (targets / "cache-password").write_text(FILED)
    (targets / "cache-password").chmod(0o600)
    os.utime(targets / "cache-password", (1_700_000_000, 1_700_000_000))
    found = Inventory(tmp_path)
    put = ("secret", "put", "shop-db-password", "--owner", "ann", "--rotate-days", "30")
    begun = time.time_ns() // 1_000_000
    assert found.run(*put, given=STORED).returncode == 0
    found.put_between = (begun, time.time_ns() // 1_000_000)
    return found


def used(data: Path) -> None:
    """One action of an agent at the shop's database, as the broker remembers it."""
    register = SqliteLeaseRegister(data / "broker/leases.db")
    lease = Lease(
        name=lease_name(bytes(15) + b"\1"),
        target="shop-db",
        window="action",
        log="ledger.example/one",
        intent=1,
        mandate="m-1",
        agent="scout",
        capability="case.read",
        under=(),
        scope="00" * 32,
        named_at=USED_AT,
        expires_at=UnixMillis(USED_AT + 60_000),
    )
    ended = lease.issued(USED_AT, account="a", expires_at=lease.expires_at).used(USED_AT)
    register.put([ended.ended(UnixMillis(USED_AT + 5), Revoked(), why="its action ended")])
    register.close()


@pytest.mark.requirement("STAND-04")
def test_the_inventory_has_every_secret_of_the_store_and_every_account_of_the_brokers_own(inventory):
    used(inventory.data)
    found = inventory.listed()
    assert set(found) == {
        ("store", "shop-db-password"),
        ("target shop-db", "broker_of_shop (password)"),
        ("target cache", "answerable (password)"),
        ("target crm", "secret"),
    }
    stored = found["store", "shop-db-password"]
    assert stored["owner"] == "ann"
    put_from, put_until = inventory.put_between
    assert put_from <= stored["since"] <= put_until
    assert stored["users"] == ["target shop-db", "capability case.read", "agent scout"]
    assert stored["last_used_at"] == USED_AT
    account = found["target shop-db", "broker_of_shop (password)"]
    assert (account["kept"], account["owner"], account["since"]) == (
        "store:shop-db-password",
        "ann",
        stored["since"],
    )
    assert account["users"] == ["capability case.read", "agent scout"]
    assert account["last_used_at"] == USED_AT
    cache = found["target cache", "answerable (password)"]
    assert (cache["kept"], cache["since"]) == ("file:cache-password", 1_700_000_000_000)
    assert cache["owner"]
    assert (cache["users"], cache["exposed"]) == ([], "")
    crm = found["target crm", "secret"]
    assert (crm["kept"], crm["since"], crm["owner"]) == ("env:CRM_KEY", 0, "")
    assert len({one["replacement"] for one in found.values()}) == 4, "each says what could take its place"


@pytest.mark.requirement("STAND-04")
def test_what_is_due_or_could_be_read_by_others_is_said_and_is_the_exit_code(inventory):
    inventory.listed()
    (inventory.data / "broker/targets/cache-password").chmod(0o644)
    found = inventory.listed(code=5)
    assert "every user of this machine" in found["target cache", "answerable (password)"]["exposed"]
    (inventory.data / "broker/targets/cache-password").chmod(0o600)
    inventory.run("secret", "expose", "shop-db-password", "--reason", "seen in a ticket")
    found = inventory.listed(code=5)
    for one in (("store", "shop-db-password"), ("target shop-db", "broker_of_shop (password)")):
        assert "seen in a ticket" in found[one]["due"]
    inventory.run("secret", "retire", "shop-db-password")
    found = inventory.listed(code=5)
    assert ("store", "shop-db-password") not in found
    assert "no such secret" in found["target shop-db", "broker_of_shop (password)"]["due"]


@pytest.mark.requirement("STAND-04", "STAND-02")
def test_what_a_scan_finds_stands_beside_what_the_broker_knows(inventory, tmp_path):
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / ".env").write_text(f"PGPASSWORD={FILED}\n")
    found = inventory.listed("--scan", str(shown), code=5)
    assert (str(shown / ".env"), "PGPASSWORD") in found
    assert ("target cache", "answerable (password)") in found


@pytest.mark.requirement("STAND-04", "STAND-02")
def test_a_value_that_stands_in_a_target_file_itself_is_told_and_not_shown(inventory):
    file = inventory.data / "broker/targets/cache.toml"
    file.write_text(file.read_text().replace("file:cache-password", INLINE))
    done = inventory.run("credential", "inventory", "--json")
    assert done.returncode != 0
    assert "reference" in done.stdout + done.stderr


@pytest.mark.requirement("STAND-04")
def test_a_target_file_that_cannot_be_read_is_not_left_out_in_silence(inventory):
    (inventory.data / "broker/targets/crm.toml").write_text("kind = 'nothing'\n")
    done = inventory.run("credential", "inventory")
    assert done.returncode == 1
    assert "crm.toml" in done.stderr
