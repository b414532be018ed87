"""The TLS of listeners names the setting whose file is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.errors import Unavailable
from answerable.wiring.settings import load_settings
from answerable.wiring.tls_material import console_tls, gateway_tls

PLACES = {"gateway": gateway_tls, "console": console_tls}


@pytest.mark.requirement("CLI-10")
@pytest.mark.parametrize("section", PLACES)
@pytest.mark.parametrize("missing", ["tls_certificate", "tls_key"])
def test_a_file_that_is_missing_is_named_with_its_setting(tmp_path: Path, section: str, missing: str) -> None:
    files = dict.fromkeys(("tls_certificate", "tls_key"), "there") | {missing: "gone"}
    (tmp_path / "there").write_text("no PEM")
    lines = [f'{name} = "file:{file}.pem"' for name, file in files.items()]
    (tmp_path / "there.pem").write_text("no PEM")
    origin = 'origin = "https://console.example"\n' if section == "console" else ""
    (tmp_path / "answerable.toml").write_text(f"[{section}]\n{origin}" + "\n".join(lines))
    with pytest.raises(Unavailable, match=f"`{section}.{missing}`: secret file `gone.pem` cannot be read"):
        PLACES[section](load_settings(tmp_path))
