"""Compile modules to shared objects, with mypyc and the C compiler that built this Python: TREE TARGET MODULE...

A process of its own, in the divided copy that is TREE, with setuptools on the path, which mypyc asks for.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from mypyc.build import mypycify

# All modules are one library, which the files beside the sources only load.
GROUP = "answerable_native"
OPTIMISE = ("-O2", "-g0")


def words(*names: str) -> list[str]:
    """Of the settings that this Python was built with."""
    return [word for name in names for word in shlex.split(sysconfig.get_config_var(name) or "")]


def command(line: list[str]) -> None:
    """Run the compiler. Raises SystemExit with what it says."""
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def compiled(extension: Any, objects: Path, source: str) -> str:
    """Compile one C file; returns the object file."""
    target = objects / f"{source.replace('/', '_')}.o"
    include = [f"-I{one}" for one in [*extension.include_dirs, sysconfig.get_path("include")]]
    flags = [*words("CFLAGS", "CCSHARED"), *extension.extra_compile_args, *OPTIMISE, *include]
    command([*words("CC"), *flags, "-c", source, "-o", str(target)])
    return str(target)


def main() -> None:
    """Compile."""
    tree, target, *modules = sys.argv[1:]
    os.chdir(tree)
    extensions: list[Any] = mypycify(
        ["--config-file", "pyproject.toml", *(f"src/answerable/{name}" for name in modules)],
        multi_file=True,
        target_dir=".dev/native-c",
        group_name=GROUP,
    )
    objects = Path(".dev/native-o")
    objects.mkdir(exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for extension in extensions:
            parts = list(pool.map(partial(compiled, extension, objects), extension.sources))
            shared = Path(target, *extension.name.split("."))
            shared.parent.mkdir(parents=True, exist_ok=True)
            name = f"{shared}{sysconfig.get_config_var('EXT_SUFFIX')}"
            command([*words("LDSHARED"), *parts, "-o", name])


if __name__ == "__main__":
    main()
