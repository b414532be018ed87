"""`./dev native`: compile the path of a call, in a copy of this checkout, and test or pack what comes out.

Without words it compiles, where anything has changed. `test` runs there what is about the path: unit, property, vector,
attack and simulation tests; `test PATH...` others. `wheel` packs it for this Python and this kind of machine.

The checkout and its environment stay pure Python. The copy, `.dev/native/tree`, has an environment whose programs run
the copy; `native_source.py` says how the source is divided, `native_modules.toml` what is compiled and what is not.
Needs a C compiler and the headers of the Python that runs this.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable
from pathlib import Path

import native_source
import set_up
from imports import ROOT
from mutant_copy import Copy

HOME = ROOT / ".dev/native"
LIST = ROOT / "tools/native_modules.toml"
COMPILE = ROOT / "tools/native_compile.py"
# About the path of a call, and about what a compiled part could make weaker.
TESTS = ("tests/unit", "tests/property", "tests/vectors", "tests/attack", "tests/simulation", "tests/native")


def compiled() -> list[str]:
    """The modules to compile, as paths below the package."""
    return list(listed("compiled"))


def listed(what: str) -> Iterable[str]:
    """A part of the list."""
    found: Iterable[str] = tomllib.loads(LIST.read_text(encoding="utf-8"))[what]
    return found


def build(copy: Copy) -> None:
    """Compile in the copy, unless that is done for this source. Raises SystemExit with what the compiler says."""
    source = copy.root / "src"
    native_source.write([f"answerable/{name}" for name in compiled()], source)
    stamp, wanted = copy.root / ".dev/native-stamp", fingerprint(source)
    kept = HOME / "objects"
    if not (kept / wanted).is_dir():
        _compile(copy, kept / wanted)
        for one in kept.iterdir():
            if one.name != wanted:
                shutil.rmtree(one)
    for old in source.rglob("*.so"):
        old.unlink()
    for one in (kept / wanted).rglob("*.so"):
        shutil.copy2(one, source / one.relative_to(kept / wanted))
    stamp.write_text(wanted, encoding="utf-8")


def fingerprint(source: Path) -> str:
    """Of all that decides what is compiled: the types of every module do."""
    digest = hashlib.sha256(f"{sys.version} {sysconfig.get_platform()}".encode())
    for path in [LIST, COMPILE, ROOT / "requirements.lock", ROOT / "environments/native.lock"]:
        digest.update(path.read_bytes())
    for path in sorted(source.rglob("*.py")):
        digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def _compile(copy: Copy, target: Path) -> None:
    set_up.set_up(set_up.COMPILERS)
    (builder,) = set_up.COMPILERS
    print(f"compiling {len(compiled())} modules; some minutes of a core", file=sys.stderr, flush=True)
    made = target.with_name(f"{target.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    words = [sys.executable, str(COMPILE), str(copy.root), str(made), *compiled()]
    packages = next(builder.folder.glob("lib/python3*/site-packages"))
    log = HOME / "compile.log"
    with log.open("wb") as file:
        done = subprocess.run(
            words,
            cwd=copy.root,
            env={**os.environ, "PYTHONPATH": str(packages)},
            stdout=file,
            stderr=file,
            check=False,
        )
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        told = [line for line in lines if "rror: " in line]
        raise SystemExit("\n".join([*told[:5], *lines[-1:], f"dev: the compiler failed, see {log}"]))
    made.rename(target)


def wheel(copy: Copy) -> Path:
    """Pack the copy; returns the file. Its tag names the Python, and the kind of machine."""
    out = HOME / "dist"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copy2(ROOT / "tools/native_wheel.py", copy.root / "native_wheel.py")
    with (copy.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(
            '\n[tool.hatch.build.targets.wheel.hooks.custom]\npath = "native_wheel.py"\n'
            "\n[tool.hatch.build]\nignore-vcs = true\n"
        )
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(words, cwd=copy.root, check=True, stdout=subprocess.DEVNULL)
    (made,) = out.glob("*.whl")
    return made


def run_tests(copy: Copy, paths: list[str]) -> int:
    """Run tests on the native build, all of them of what is given. Returns pytest's exit code."""
    path = f"{copy.root}/.dev/venv/bin{os.pathsep}{os.environ['PATH']}"
    left_out = [f"--deselect={name}" for name in listed("not_tested")]
    words = [copy.python, "tools/run_tests.py", *(paths or TESTS), "--", "-m", "not slow", *left_out]
    # What the compiled modules are held against.
    env = {**os.environ, "PATH": path, "ANSWERABLE_REFERENCE": str(ROOT / "src")}
    return subprocess.run(words, cwd=copy.root, env=env, check=False).returncode


def main() -> int:
    """Returns the exit code."""
    HOME.mkdir(parents=True, exist_ok=True)
    try:
        copy = Copy(HOME / "tree")
    except BlockingIOError:
        raise SystemExit("dev: the native build is in use by another run") from None
    word, *rest = [*sys.argv[1:], ""]
    if word not in ("", "test", "wheel") or (word != "test" and any(rest)):
        raise SystemExit("usage: ./dev native [wheel | test [PATH...]]")
    build(copy)
    if word == "test":
        return run_tests(copy, [one for one in rest if one])
    print(wheel(copy) if word == "wheel" else f"{copy.root}/.dev/venv/bin/answerable")
    return 0


if __name__ == "__main__":
    sys.exit(main())
