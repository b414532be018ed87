"""What the user told pip about package indexes, in uv's words; standard library only.

uv does not read pip's settings. A developer whose company has an index of its own has often told only pip.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path

UV_INDEX_NAMES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE")


def of_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """pip's settings by option name. Weakest first: global, user, site files, PIP_CONFIG_FILE, PIP_*."""
    parser = configparser.RawConfigParser()
    home = Path(environ.get("HOME") or Path.home())
    named = environ.get("PIP_CONFIG_FILE")
    shared = _folders(environ, "XDG_CONFIG_DIRS", "/etc/xdg")
    own = _folders(environ, "XDG_CONFIG_HOME", str(home / ".config"))
    files = [
        *(Path(folder) / "pip/pip.conf" for folder in reversed(shared)),
        Path("/etc/pip.conf"),
        Path("/Library/Application Support/pip/pip.conf"),
        home / ".pip/pip.conf",
        home / "Library/Application Support/pip/pip.conf",
        *(Path(folder) / "pip/pip.conf" for folder in own),
        Path(sys.prefix) / "pip.conf",
        *([Path(named)] if named else []),
    ]
    if named != os.devnull:  # pip's own way to say: no files at all.
        for file in files:
            try:
                parser.read(file, encoding="utf-8")
            except (configparser.Error, UnicodeDecodeError) as error:
                print(f"passing over {file}: {str(error).splitlines()[0]}", file=sys.stderr)
    settings: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            settings |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    settings |= {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }
    return settings


def for_uv(environ: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that make uv look where pip looks; empty where the user told uv itself."""
    pip = of_pip(environ)
    wanted: dict[str, str] = {}
    if not any(environ.get(name) for name in UV_INDEX_NAMES) and not _uv_file_names_index(environ):
        if "index-url" in pip:
            wanted["UV_DEFAULT_INDEX"] = pip["index-url"].strip()
        if "extra-index-url" in pip:
            wanted["UV_INDEX"] = " ".join(pip["extra-index-url"].split())
            # As pip does, look on every index. Safe: whichever answers, the file must match its locked hash.
            wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        if "find-links" in pip:
            wanted["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
    if "trusted-host" in pip:
        wanted["UV_INSECURE_HOST"] = " ".join(pip["trusted-host"].split())
    if "cert" in pip:
        wanted["SSL_CERT_FILE"] = pip["cert"].strip()
    if "proxy" in pip:
        wanted["HTTPS_PROXY"] = pip["proxy"].strip()
    return {name: value for name, value in wanted.items() if not environ.get(name)}


def index_url(environ: Mapping[str, str]) -> str | None:
    """The one index a plain download may ask, if the user named one; the project itself names none."""
    told_uv = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    return told_uv or of_pip(environ).get("index-url")


def _folders(environ: Mapping[str, str], name: str, default: str) -> list[str]:
    return [folder for folder in (environ.get(name) or default).split(os.pathsep) if folder]


def _uv_file_names_index(environ: Mapping[str, str]) -> bool:
    home = Path(environ.get("HOME") or Path.home())
    folders = [
        *_folders(environ, "XDG_CONFIG_HOME", str(home / ".config")),
        *_folders(environ, "XDG_CONFIG_DIRS", "/etc/xdg"),
        "/etc",
    ]
    for folder in folders:
        try:
            text = (Path(folder) / "uv/uv.toml").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if "index" in text:
            return True
    return False
