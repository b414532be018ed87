"""What settings of a MariaDB target may say."""

from __future__ import annotations

import pytest

from answerable.adapters.mariadb_accounts import MariadbTarget
from answerable.errors import Malformed
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.wiring.target_kinds import TargetWorld, kind_named

KIND = kind_named("mariadb")


def faults(**changed):
    return "; ".join(KIND.faults(KIND.settings(**{"databases": ("shop",), **changed})))


def test_a_server_on_this_machine_needs_no_tls_and_any_other_does():
    for host in ("127.0.0.1", "::1", "localhost", "/var/run/mysqld/mysqld.sock"):
        assert not faults(host=host, tls="off")
        assert not faults(host=host)
    for host in ("db.example", "10.0.0.5", "127.0.0.1.example"):
        assert "loopback" in faults(host=host, tls="off")
        assert not faults(host=host)
    assert "none of verify, off" in faults(tls="prefer")


def test_databases_are_named():
    assert "databases" in faults(databases=())


def test_elsewhere_the_certificate_and_the_name_are_checked(tmp_path):
    world = TargetWorld(clock=ManualClock(), entropy=SeededEntropy(), secret_of=lambda _: b"x")
    built = KIND.build(KIND.settings(databases=("shop",), host="db.example"), world)
    assert isinstance(built.target, MariadbTarget)
    context = built.target._place.tls
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    with pytest.raises(Malformed) as caught:
        KIND.build(
            KIND.settings(databases=("shop",), host="db.example", tls_ca_file=str(tmp_path / "none")), world
        )
    assert caught.value.code == "target.tls"
