"""What `pip install answerable` installs, made without a network: links to just those files of the packages that are
here, in a folder in which nothing else is, for a Python that looks nowhere else."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distribution
from importlib.util import cache_from_source
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseInstallation:
    """folder: that imports are looked up in. distributions: that are not ours, by name."""

    folder: Path
    distributions: dict[str, Distribution]

    def python(self, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a Python that has no site-packages but these."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [sys.executable, "-S", "-P", *words],
            cwd=cwd,
            env=kept | {"PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def answerable(self, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        return self.python("-m", "answerable", *words, cwd=cwd)

    def bytes_of(self) -> int:
        """What an installer writes, without what Python compiles of it."""
        written = (
            path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )
        return sum(path.stat().st_size for path in written)


def declared() -> dict[str, list[Requirement]]:
    """What we need, by extra, the base under an empty one: as the project's file says, whatever was installed of it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: [Requirement(one) for one in texts] for extra, texts in found.items()}


def distributions_of(*extras: str) -> dict[str, Distribution]:
    """All that `pip install answerable[EXTRAS]` brings beside our own on this system, by name."""
    own = declared()
    found: dict[str, Distribution] = {}
    pending = [one for extra in ("", *extras) for one in own[extra]]
    seen: set[tuple[str, str]] = set()
    while pending:
        wanted = pending.pop()
        name = canonicalize_name(wanted.name)
        if name == "answerable":
            pending += [one for extra in wanted.extras for one in own[extra]]
            continue
        for extra in ("", *wanted.extras):
            if (wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})) or (
                name,
                extra,
            ) in seen:
                continue
            seen.add((name, extra))
            one = found.setdefault(name, distribution(name))
            for text in one.requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    needed.marker = None
                    pending.append(needed)
    return found


@cache
def shared_installation() -> BaseInstallation:
    """One for all tests of this process that change nothing in it."""
    folder = Path(tempfile.mkdtemp(prefix="base-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return base_installation(folder / "site")


def base_installation(folder: Path) -> BaseInstallation:
    """Make one in a folder that is not there yet, with what Python compiled of its modules, as an installer leaves
    it."""
    found = distributions_of()
    for one in found.values():
        for file in one.files or ():
            if file.parts[0] != ".." and "__pycache__" not in file.parts:
                _link(Path(str(one.locate_file(file))), folder / file)
    # A wheel has just these files, to which a test holds it.
    sources = ROOT / "src/answerable"
    for path in sources.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            _link(path, folder / "answerable" / path.relative_to(sources))
    return BaseInstallation(folder=folder, distributions=found)


def _link(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(source)
    compiled = Path(cache_from_source(str(source))) if source.suffix == ".py" else None
    if compiled is not None and compiled.exists():
        place = place.parent / "__pycache__" / compiled.name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(compiled)
