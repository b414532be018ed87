"""A checkout in small, with a test for each way in which one depends on the product."""

from __future__ import annotations

from pathlib import Path

PART = '''
"""Words."""
import functools
from answerable import early
from answerable.early import other

VALUE = 1

def ran(given=1):  # a remark
    def inside(): return VALUE + given
    return [inside() for _ in range(2)]

def idle(given=1): return other(given)

def at_reading(): return 2

READ = at_reading()
KEPT = early.KEPT
LAST = (lambda: 3)()

class Thing:
    size = 1
    def __init__(self): self.kept = self.made()
    def made(self): return 1
    @property
    def unused(self): return 1
    async def slow(self): return 1
    def many(self): yield 1
    def sized(self, by=1): return by

@functools.cache
def once(): return behind()

def behind(): return 4

def where(): return VALUE.tb_lineno if VALUE > 1 else None

def told(what): return what.__doc__

class Base: kind = 1

class Kind(Base): pass

TABLE = {"kind": Kind}
OWN = Kind
MADE = Kind().kind
INNER = "KEPT"

def make(): return OWN()

def ask(name=INNER): return getattr(early, name)

class Option: help = 1

def command(name: Option): return 1

COMMANDS = (command,)
'''
LATE = """
from importlib import import_module
from answerable.early import note, other

PLACES = {"KEPT": "answerable.early", "LAST": "answerable.part"}
__all__ = ["other", *PLACES]

def __getattr__(name):
    if name in PLACES: return getattr(import_module(PLACES[name]), name)
    raise AttributeError
"""
EARLY = "def note(): return 1\n\ndef other(given=0): return 1\n\nKEPT = note()\n"
TESTS = {
    "imports": "from answerable import part\n\ndef test_it(): assert part.READ == 2\n",
    "calls": "from answerable.part import ran\n\ndef test_it(): assert ran() == [2, 2]\n",
    "makes": """
from answerable import part

def test_it():
    assert part.Thing().kept and next(part.Thing().many())
    part.Thing().slow().close()
""",
    "thread": """
import threading
from answerable.part import ran

def test_it():
    (thread := threading.Thread(target=ran)).start()
    thread.join()
""",
    "once": "from answerable.part import once\n\ndef test_it(): assert once() == 4\n",
    "once_and_again": "from answerable.part import once\n\ndef test_it(): assert once() == 4\n",
    "programs": """
import subprocess
import answerable.part

def test_it(): subprocess.run(["true"], check=True)
""",
    "forks": """
import os
from answerable import part

def test_it():
    if not (child := os.fork()):
        os._exit(part.idle(0) - 1)
    assert os.waitpid(child, 0)[1] == 0
""",
    "lines": "from answerable import part\n\ndef test_it(): assert part.where() is None\n",
    "source": """
import inspect
from answerable import part

def test_it(): assert inspect.getsource(part.ran)
""",
    "looks": "import inspect\nfrom answerable import part\n\ndef test_it(): assert inspect.signature(part.idle)\n",
    "has_told": "from answerable import part\n\ndef test_it(): assert part.told(part) == 'Words.'\n",
    "draws": "import hypothesis\nimport answerable.part\n\ndef test_it(): pass\n",
    "file": "from answerable import part\n\ndef test_it(): assert open(__file__)\n",
    "reads": """
from pathlib import Path
FILES_READ = ("words/*.txt",)

def test_it(): assert (Path(__file__).parents[2] / "words/a.txt").read_text()
""",
    "reads_more": """
import os
from pathlib import Path
FILES_READ = ("words/*.txt",)

def test_it(): assert (Path(__file__).parents[2] / "more.txt").read_text() and os.listdir("tests")
""",
    "asks": """
from answerable import late, part

def test_it(): assert part.ask() == late.KEPT == 1 and part.make() and part.TABLE["kind"] and part.COMMANDS
""",
    "handed": "from answerable.late import other\n\ndef test_it(): assert other\n\ndef test_unwanted(): assert 0\n",
    "ends": "import os\n\ndef test_it(): os._exit(0)\n",
}


def path_of(name: str) -> str:
    """Each in a folder of its own, and so in a process of its own, but for those that share one."""
    return f"tests/{name.partition('_and_')[0]}/test_{name}.py"


def write(place: Path) -> None:
    """Its files, but for the tools."""
    written = {
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["src", "tools", "."]\n'
        'addopts = ["--import-mode=importlib"]\n',
        "requirements.lock": "",
        "tests/conftest.py": "LATER = 'answerable.part'\n",
        "src/answerable/__init__.py": "",
        "src/answerable/early.py": EARLY,
        "src/answerable/part.py": PART,
        "src/answerable/other.py": "",
        "src/answerable/late/__init__.py": LATE,
        "src/answerable/words.txt": "a",
        "words/a.txt": "a",
        "more.txt": "a",
        **{path_of(name): text for name, text in TESTS.items()},
    }
    for name, text in written.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
