"""Finds uv, or gets it; standard library only.

The ladder, first success wins: uv on PATH; the one an earlier run got; a virtual environment with pip; the
system's pip into a folder; the binary out of the wheel, from the index the user named. Debian and Ubuntu ship
Python without `ensurepip` and without pip, so each rung is somebody's only one. All but the first install the
version of environments/uv.lock and check its SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.parse
import urllib.request
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import index_settings

LOCK = "environments/uv.lock"
DOWNLOAD_SECONDS_MAX = 120
WHEEL_BYTES_MAX = 100_000_000


class NoUv(Exception):
    """No rung held; the message says what to install."""


class RungFailed(Exception):
    """One rung did not hold, and why."""


def find(*, root: Path, folder: Path, say: Callable[[str], None]) -> str:
    """Path of a uv that runs. `folder` is ours to fill; `say` gets a line when something is installed."""
    for found in (shutil.which("uv"), str(folder / "bin/uv"), str(folder / "lib/bin/uv")):
        if found and _runs(found):
            return found
    say("no uv on PATH: getting one under .dev/uv")
    reasons = []
    for rung in (_by_venv, _by_pip, _by_wheel):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            found = rung(root / LOCK, folder)
        except RungFailed as error:
            reasons.append(str(error))
            continue
        if _runs(found):
            return found
        reasons.append("the uv that was installed does not run here")
    shutil.rmtree(folder, ignore_errors=True)
    raise NoUv(_advice(reasons))


def _runs(program: str) -> bool:
    try:
        return subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _pip(python: str, *arguments: str) -> None:
    """Runs pip with the user's own settings, less the two that would forbid a folder of our own."""
    relaxed = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment = os.environ | relaxed
    command = [python, "-m", "pip", "install", "--quiet", "--require-hashes", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RungFailed(f"pip install uv: {last}")


def _by_venv(lock: Path, folder: Path) -> str:
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        raise RungFailed("python has no ensurepip") from None
    try:
        venv.EnvBuilder(symlinks=True, with_pip=True).create(folder)
    except (subprocess.CalledProcessError, OSError) as error:
        raise RungFailed(f"python -m venv: {error}") from None
    _pip(str(folder / "bin/python"), "-r", str(lock))
    return str(folder / "bin/uv")


def _by_pip(lock: Path, folder: Path) -> str:
    probe = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if probe.returncode:
        raise RungFailed("python has no pip")
    # --target writes only into our folder, so an externally managed system allows it.
    _pip(sys.executable, "--target", str(folder / "lib"), "-r", str(lock))
    return str(folder / "lib/bin/uv")


def _by_wheel(lock: Path, folder: Path) -> str:
    index = index_settings.index_url(os.environ)
    if index is None:
        raise RungFailed("no package index is named in the settings of pip or uv")
    text = lock.read_text()
    version = re.search(r"^uv==(\S+)", text, re.MULTILINE)
    if version is None:
        raise RungFailed(f"{LOCK} names no uv")
    project = index.rstrip("/") + "/uv/"
    try:
        address = _wheel_address(project, _fetch(project).decode(), version[1])
        wheel = _fetch(address)
    except (OSError, ValueError) as error:
        raise RungFailed(f"download of uv: {error}") from None
    if hashlib.sha256(wheel).hexdigest() not in re.findall(r"sha256:([0-9a-f]{64})", text):
        raise RungFailed(f"download of uv: the SHA-256 of the wheel is not in {LOCK}")
    binary = folder / "bin/uv"
    binary.parent.mkdir(parents=True)
    archive = folder / "uv.whl"
    archive.write_bytes(wheel)
    with zipfile.ZipFile(archive) as opened:
        member = next(name for name in opened.namelist() if name.endswith(".data/scripts/uv"))
        binary.write_bytes(opened.read(member))
    archive.unlink()
    binary.chmod(0o755)
    return str(binary)


def _wheel_address(project: str, page: str, version: str) -> str:
    """Address of the wheel for this machine on an HTML index page (PEP 503). ValueError if there is none."""
    system, _, machine = sysconfig.get_platform().partition("-")
    if system == "linux":
        system = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    machine = machine.rpartition("-")[2]
    for link in re.findall(r"""<a\s[^>]*href=["']([^"']+)["']""", page):
        address = urllib.parse.urljoin(project, html.unescape(link)).partition("#")[0]
        name = urllib.parse.unquote(address.rpartition("/")[2])
        if name.startswith(f"uv-{version}-") and system in name and name.endswith(f"{machine}.whl"):
            return address
    raise ValueError(f"the index has no wheel of uv {version} for {system} {machine}")


def _fetch(address: str) -> bytes:
    """GET with the user's certificates, proxy and credentials. Raises OSError, ValueError."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("https", "http"):
        raise ValueError(f"not a web address: `{parts.scheme}:`")
    headers = {"Accept": "text/html, application/octet-stream"}
    if "@" in parts.netloc:
        pair = f"{urllib.parse.unquote(parts.username or '')}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    settings = index_settings.for_uv(os.environ)
    handlers: list[urllib.request.BaseHandler] = []
    if "HTTPS_PROXY" in settings:
        handlers.append(urllib.request.ProxyHandler({"https": settings["HTTPS_PROXY"]}))
    context = ssl.create_default_context(
        cafile=settings.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_FILE")
    )
    opener = urllib.request.build_opener(*handlers, urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(parts.geturl(), headers=headers)  # noqa: S310 - the scheme is checked above
    with opener.open(request, timeout=DOWNLOAD_SECONDS_MAX) as answer:
        body: bytes = answer.read(WHEEL_BYTES_MAX)
    return body


def _advice(reasons: list[str]) -> str:
    release = f"{sys.version_info.major}.{sys.version_info.minor}"
    if "python has no ensurepip" in reasons and "python has no pip" in reasons:
        advice = (
            f"Python {release} here has neither `venv` nor `pip`. On Debian or Ubuntu:\n\n"
            "    apt-get install python3-venv\n\n"
            f"(python{release}-venv if there are several Pythons; python3-pip or uv will do as well.)"
        )
    else:
        advice = "uv could not be installed; put uv on PATH, or mend this and run again"
    return advice + "\nTried: " + "; ".join(reasons)
