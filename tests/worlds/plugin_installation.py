"""A copy of this environment into which a package of others is installed without a network, as a user installs it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src"


def installation(folder: Path, *projects: Path) -> Path:
    """Make one in a folder that is not there yet; return its Python. projects: are built into wheels and unpacked, as
    an installer does with a wheel of Python files alone."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    (site,) = (folder / "lib").glob("python*/site-packages")
    shared = [place for place in sys.path if place.endswith("site-packages")]
    # `addsitedir` reads what editable installations wrote there, too.
    lines = [str(SOURCES), *(f"import site; site.addsitedir({place!r})" for place in shared)]
    (site / "shared.pth").write_text("\n".join(lines) + "\n")
    for project in projects:
        for wheel in built(project, folder / "wheels" / project.name):
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(site)
    return folder / "bin" / "python"


def built(project: Path, folder: Path) -> list[Path]:
    """Build a project's wheel by the build tool that it names."""
    line = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(line, cwd=project, env=_quiet(), capture_output=True, check=True, timeout=120)
    return [*folder.glob("*.whl")]


def _quiet() -> dict[str, str]:
    return os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
