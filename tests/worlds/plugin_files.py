"""A distribution that brings a kind of target, as an installer leaves it."""

from __future__ import annotations

from pathlib import Path

# Whoever looks for distributions lists every folder that Python imports from.
FILES_READ = ("*", "src/*", "tools/*")


def plugin(folder: Path, name: str, kind: str, code: str, *, version: str = "2.5") -> None:
    """Write a distribution that brings one kind into a folder of imports, as an installer leaves it. code: of its
    module."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    about = folder / f"{module}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[answerable.targets]\n{kind} = {module}:KIND\n")
