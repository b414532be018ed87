"""Both builds of the path of a call do the same: the one in Python, which is the reference, and the native one.

Here, the source as it is divided for the compiler is held against the source as it is, uncompiled. `./dev native test`
runs this, and the tests of the path, where the modules are compiled; there, what is compiled is held against the
source.
"""

from __future__ import annotations

import ast
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from runpy import run_path

import pytest

import native_source
from answerable import __version__
from answerable.core.action.tool_definition import ToolDefinition
from answerable.errors import Refused
from answerable.extras import is_native
from answerable.testing.builders import Bench
from answerable.testing.recording_upstream import RecordingUpstream

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/answerable"
LIST = tomllib.loads((ROOT / "tools/native_modules.toml").read_text(encoding="utf-8"))
HOW_MUCH = ("0", "60", "99", "300") if is_native() else ("0", "4", "99", "10")
"""Seeds, values and mutants."""


CALL_THEMSELVES_ONCE = {"find_plan"}
"""Where a kept plan was found to differ, and is kept no longer."""


class Interrupting(KeyboardInterrupt):
    """Raised by the handler of a signal."""


def told(source: Path) -> list[str]:
    """What the build there tells of itself."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.native.teller", *HOW_MUCH],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{source}:{ROOT}/tools:{ROOT}", "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def other_source(tmp_path: Path) -> Path:
    """The reference for a compiled build; for the reference, itself as it is divided."""
    if is_native():
        return Path(os.environ["ANSWERABLE_REFERENCE"])
    divided = tmp_path / "src"
    shutil.copytree(SOURCE.parent, divided, ignore=shutil.ignore_patterns("__pycache__"))
    native_source.write([f"answerable/{name}" for name in LIST["compiled"]], divided)
    return divided


@pytest.mark.requirement("NATIVE-01", "NATIVE-02")
def test_both_builds_write_the_same_ledgers_and_answer_the_same(tmp_path: Path):
    other = other_source(tmp_path)
    (here, *ours), (there, *theirs) = told(SOURCE.parent), told(other)
    assert Path(there).is_relative_to(other)
    assert Path(here).suffix == (".so" if is_native() else ".py")
    assert Path(there).suffix == ".py"
    differing = [(one, another) for one, another in zip(ours, theirs, strict=False) if one != another]
    assert not differing, differing[0]
    assert len(ours) == len(theirs)
    assert {line.partition(" ")[0] for line in ours} == {"seed", "call", "limit", "parsed"}
    assert len(ours) > 1_000


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """What a call of itself looks like in a function, and the function."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"self.{method.name}", method


@pytest.mark.requirement("NATIVE-03")
@pytest.mark.parametrize("name", LIST["compiled"])
def test_no_compiled_module_has_what_compiling_makes_weaker(name: str):
    tree = ast.parse((SOURCE / name).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
            kinds = {one.id for one in ast.walk(node.args[1]) if isinstance(one, ast.Name)}
            # True is an int, and a value that was found to be one is made a number at once.
            assert "int" not in kinds, f"line {node.lineno}: use `type(x) is int`"
    for name_of_call, function in functions(tree):
        assert function.name != "__del__", "what it raises would be lost elsewhere"
        called = {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
        # No limit of recursion holds in compiled code.
        assert name_of_call not in called - CALL_THEMSELVES_ONCE, f"{function.name} calls itself"


@pytest.mark.requirement("NATIVE-03")
def test_every_module_that_is_left_out_is_there_and_has_a_reason():
    compiled, left_out = LIST["compiled"], LIST["left_out"]
    assert sorted(compiled) == compiled
    assert not set(compiled) & set(left_out)
    for name in (*compiled, *left_out):
        assert (SOURCE / name).is_file(), name
    assert all(left_out.values())
    named = [path.relative_to(SOURCE).as_posix() for path in SOURCE.glob("flows/walk/*.py")]
    assert len(set(named) & set(compiled)) > 7


@pytest.mark.requirement("NATIVE-01")
def test_what_moves_is_there_once_and_what_cannot_move_is_refused():
    text = (
        "from dataclasses import dataclass\n\nLEAST = 3\n\n\n@dataclass(frozen=True)\nclass Kept:\n"
        "    size: int = LEAST\n\n    def doubled(self) -> int:\n        return _twice(self.size)\n\n\n"
        "def _twice(size: int) -> int:\n    return 2 * size\n\n\ndef compiled() -> Kept:\n    return Kept()\n"
    )
    result = native_source.divided(text, "made.up")
    assert result.names == ("Kept", "LEAST", "_twice")
    assert "class Kept" not in result.compiled
    assert "def compiled" not in result.kept
    with pytest.raises(native_source.NotNeutral, match="LEAST"):
        native_source.divided(f"{text}\n\ndef more() -> None:\n    global LEAST\n    LEAST = 4\n", "made.up")


@pytest.mark.requirement("NATIVE-05")
@pytest.mark.parametrize("cause", ["cause", "None"])
def test_an_error_keeps_its_cause_though_the_compiler_drops_it(tmp_path: Path, cause: str):
    text = (
        "import sys\n\n\ndef f() -> None:\n    try:\n        raise KeyError\n    except KeyError as cause:\n"
        f"        raise ValueError('x') from {cause}\n"
    )
    compiled = native_source.divided(text, "made.up").compiled
    assert " from " not in compiled
    caught = []
    for source in (text, compiled):
        module = tmp_path / "module.py"
        module.write_text(source, encoding="utf-8")
        with pytest.raises(ValueError, match="x") as told:
            run_path(str(module))["f"]()
        caught.append((type(told.value.__cause__), told.value.__suppress_context__))
    assert caught[0] == caught[1]


@pytest.mark.requirement("NATIVE-04")
def test_the_version_says_which_build_runs(tmp_path: Path):
    words = [sys.executable, "-m", "answerable", "--version"]
    ask = {"cwd": tmp_path, "capture_output": True, "text": True, "check": True}
    told = subprocess.run(words, **ask).stdout
    assert told == (f"{__version__} native\n" if is_native() else f"{__version__}\n")
    (tmp_path / "answerable_native__mypyc.py").touch()
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert subprocess.run(words, **ask, env=env).stdout == f"{__version__} native\n"


@pytest.mark.requirement("NATIVE-04")
def test_what_is_installed_by_default_is_pure_python():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "hooks" not in settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert not any("mypy" in one for one in settings["project"]["dependencies"])


@pytest.mark.requirement("NATIVE-05")
def test_a_signal_is_handled_between_two_calls_and_what_it_raises_comes_out():
    def interrupted(_number: int, _frame: object) -> None:
        raise Interrupting

    async def calls() -> None:
        bench = await Bench().registered()
        await bench.issue(calls_max=1_000_000)
        signal.signal(signal.SIGVTALRM, interrupted)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)
        while True:
            await bench.act()

    try:
        with pytest.raises(Interrupting):
            asyncio.run(calls())
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)


@pytest.mark.anyio
@pytest.mark.requirement("NATIVE-02")
@pytest.mark.parametrize(
    ("case", "name"), [(4711, "4711"), ("4711", "4711"), (True, ""), (None, ""), (1.5, "")]
)
async def test_truth_is_no_number_where_an_id_is_wanted(
    monkeypatch: pytest.MonkeyPatch, case: object, name: str
):
    """Whatever the tool's schema and the capability let through."""
    anything = ToolDefinition(text=b"{}", digest=sha256(b"{}").hexdigest(), violations=lambda _: ())
    monkeypatch.setattr(RecordingUpstream, "definition", lambda *_: anything)
    bench = await Bench().registered()
    await bench.issue()
    if isinstance(case, str):
        assert (await bench.act("get_case", {"case": case})).outcome is not None
        return
    with pytest.raises(Refused) as told:
        await bench.act("get_case", {"case": case})
    # A number is a name, which the capability of this test takes as text alone.
    assert (told.value.code == "resource.unknown") is (type(case) is not int)
