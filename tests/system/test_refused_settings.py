"""What `up` refuses to start with, `check-config` tells beforehand, in the same words."""

from __future__ import annotations

import pytest

from tests.probes.witness_processes import command, short_world

REFUSED = {
    "the log": "[ledger]\nunsealed_bytes_max = 65536\nseal_unsealed_bytes = 65536\n",
    "a group": '[gateway]\nport = 0\nsocket_group = "nobody-has-it"\n',
    "a folder": '[gateway]\nport = 0\nsocket = "nowhere/gateway.sock"\n',
    "an issuer": '[identity]\noidc_issuers = ["http://issuer.example answerable"]\n',
    "known hosts": '[identity]\nssh_ca = "file:answerable.toml"\n',
    "a header": (
        '[telemetry]\notlp_endpoint = "https://otel.example/v1/metrics"\notlp_header = "file:answerable.toml"\n'
    ),
}


@pytest.mark.requirement("CLI-10")
@pytest.mark.parametrize("what", REFUSED)
def test_a_configuration_that_up_refuses_has_a_fault_for_check_config(what: str) -> None:
    with short_world() as world:
        text = REFUSED[what] if "[gateway]" in REFUSED[what] else f"{REFUSED[what]}[gateway]\nport = 0\n"
        (world.data / "answerable.toml").write_text(text)
        said = command(world, "up", code=1).stderr.strip().splitlines()[-1].removeprefix("answerable: ")
        assert "Traceback" not in said
        told = command(world, "check-config", code=5).stdout
        assert said in told
        assert said in command(world, "doctor", "--json", code=5).stdout.replace('\\"', '"')
