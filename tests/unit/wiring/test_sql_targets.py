"""What settings of a PostgreSQL or MariaDB target may say."""

from __future__ import annotations

import pytest

from answerable.adapters.mariadb_accounts import MariadbTarget
from answerable.adapters.postgres_roles import PostgresTarget
from answerable.errors import Malformed
from answerable.targets.kind import TargetContext
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.wiring.target_kinds import kind_named


@pytest.fixture(params=["postgres", "mariadb"])
def kind(request):
    return kind_named(request.param)


def faults(kind, **changed):
    return "; ".join(kind.faults(kind.settings(**{"databases": ("shop",), **changed})))


def test_a_server_on_this_machine_needs_no_tls_and_any_other_does(kind):
    sockets = {"postgres": "/var/run/postgresql", "mariadb": "/var/run/mysqld/mysqld.sock"}
    for host in ("127.0.0.1", "::1", "localhost", sockets[kind.name]):
        assert not faults(kind, host=host, tls="off")
        assert not faults(kind, host=host)
    for host in ("db.example", "10.0.0.5", "127.0.0.1.example"):
        assert "loopback" in faults(kind, host=host, tls="off")
        assert not faults(kind, host=host)
    assert "none of verify, off" in faults(kind, tls="prefer")


def test_databases_are_named(kind):
    assert "databases" in faults(kind, databases=())


def test_elsewhere_the_certificate_and_the_name_are_checked(kind, tmp_path):
    world = TargetContext(clock=ManualClock(), entropy=SeededEntropy(), secret_of=lambda _: b"x")
    built = kind.build(kind.settings(databases=("shop",), host="db.example"), world)
    assert isinstance(built.target, {"postgres": PostgresTarget, "mariadb": MariadbTarget}[kind.name])
    context = built.target._place.tls
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    with pytest.raises(Malformed) as caught:
        kind.build(
            kind.settings(databases=("shop",), host="db.example", tls_ca_file=str(tmp_path / "none")), world
        )
    assert caught.value.code == "target.tls"
