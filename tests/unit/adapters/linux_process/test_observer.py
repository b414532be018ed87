"""What `/proc` says, and what is left out of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.adapters.linux_process import LinuxProcessObserver
from answerable.adapters.linux_process import program as program_module
from answerable.adapters.linux_process.program import ProgramReader
from answerable.errors import AnswerableError, Unavailable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="procfs is Linux's")

SLEEP = os.path.realpath(shutil.which("sleep") or "/bin/sleep")


@pytest.fixture
def observer() -> LinuxProcessObserver:
    return LinuxProcessObserver()


@pytest.fixture
def child():
    with subprocess.Popen([SLEEP, "60"]) as running:
        yield running
        running.kill()


def met(observer, pid, **more):
    return observer.observe(pid, started=observer.started(pid), **more)


def code_of(ask) -> str:
    with pytest.raises(AnswerableError) as told:
        ask()
    return told.value.code


@pytest.mark.usefixtures("own_root_is_a_mount")
def test_a_process_is_measured(observer, child):
    facts = met(observer, child.pid)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert facts.process == f"{boot}:{child.pid}:{observer.started(child.pid)}"
    assert (facts.uid, facts.gid, facts.foreign) == (os.geteuid(), os.getegid(), ())
    assert facts.path == SLEEP
    assert facts.sha256 == sha256(Path(SLEEP).read_bytes()).hexdigest()
    assert met(observer, child.pid) == facts


@pytest.mark.usefixtures("own_root_is_a_mount")
def test_a_pidfd_of_the_process_is_accepted_and_of_another_is_not(observer, child):
    ours, other = os.pidfd_open(child.pid), os.pidfd_open(os.getpid())
    try:
        assert met(observer, child.pid, pidfd=ours).path == SLEEP
        assert code_of(lambda: met(observer, child.pid, pidfd=other)) == "process.gone"
        assert code_of(lambda: met(observer, child.pid, pidfd=0)) == "process.gone"
    finally:
        os.close(ours)
        os.close(other)


def test_an_ended_process_is_gone(observer, child):
    facts = met(observer, child.pid)
    start = observer.started(child.pid)
    assert observer.is_alive(facts.process)
    child.kill()
    while observer.is_alive(facts.process):
        time.sleep(0.01)
    # Not reaped yet: it has its number still, and runs no more.
    assert code_of(lambda: observer.observe(child.pid, started=start)) == "process.gone"
    child.wait()
    assert code_of(lambda: observer.observe(child.pid, started=start)) == "process.gone"
    assert code_of(lambda: observer.started(child.pid)) == "process.gone"
    assert not observer.is_alive(facts.process)


@pytest.mark.parametrize(
    "name", ["", "x", "x:1:2", "{boot}:0:2", "{boot}:1:0", "{boot}:a:b", "{boot}:-1:2", "{boot}"]
)
def test_a_name_of_no_process_is_not_alive(name, observer):
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert not observer.is_alive(name.format(boot=boot))


def copied(directory: Path, name: str = "agent") -> Path:
    made = directory / name
    shutil.copy(SLEEP, made)
    return made


def test_a_deleted_program_has_neither_path_nor_digest(observer, tmp_path):
    made = copied(tmp_path)
    with subprocess.Popen([str(made), "60"]) as running:
        made.unlink()
        facts = met(observer, running.pid)
        running.kill()
    assert (facts.path, facts.sha256) == ("", "")


def test_a_program_whose_name_was_given_to_another_file_has_no_path(observer, tmp_path):
    made = copied(tmp_path)
    with subprocess.Popen([str(made), "60"]) as running:
        os.link(made, tmp_path / "kept")
        made.unlink()
        made.write_bytes(b"trusted")
        facts = met(observer, running.pid)
        running.kill()
    assert (facts.path, facts.sha256) == ("", "")


@pytest.mark.usefixtures("own_root_is_a_mount")
def test_a_moved_program_is_known_by_where_it_is(observer, tmp_path):
    made = copied(tmp_path)
    with subprocess.Popen([str(made), "60"]) as running:
        made.rename(tmp_path / "moved")
        facts = met(observer, running.pid)
        running.kill()
    assert facts.path == str(tmp_path / "moved")


@pytest.mark.usefixtures("own_root_is_a_mount")
def test_a_program_too_large_has_no_digest(observer, child, monkeypatch):
    small = LinuxProcessObserver()
    monkeypatch.setattr(small._programs, "_bytes_max", 100)
    assert met(small, child.pid).sha256 == ""
    assert met(observer, child.pid).sha256 != ""


def test_a_program_on_a_file_system_of_others_is_not_believed(observer, child, monkeypatch):
    monkeypatch.setattr(program_module, "LOCAL_FILE_SYSTEMS", frozenset())
    facts = met(observer, child.pid)
    assert (facts.path, facts.sha256) == ("", "")


@pytest.mark.usefixtures("own_root_is_a_mount")
def test_digests_are_remembered_only_of_files_that_have_settled(tmp_path):
    now = [time.time_ns()]
    observer = LinuxProcessObserver(wall_nanos=lambda: now[0])
    made = copied(tmp_path)
    with subprocess.Popen([str(made), "60"]) as running:
        first = met(observer, running.pid)
        assert not observer._programs._known
        now[0] += 10_000_000_000
        assert met(observer, running.pid) == first
        assert len(observer._programs._known) == 1
        assert met(observer, running.pid) == first
        running.kill()


@pytest.mark.usefixtures("own_root_is_a_mount")
def test_the_memory_of_digests_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(program_module, "CACHED_MAX", 1)
    observer = LinuxProcessObserver(wall_nanos=lambda: time.time_ns() + 10_000_000_000)
    for name in ("a", "b"):
        with subprocess.Popen([str(copied(tmp_path, name)), "60"]) as running:
            assert met(observer, running.pid).sha256
            running.kill()
    assert len(observer._programs._known) == 1


def test_a_thread_is_no_process(observer):
    import threading

    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert code_of(lambda: met(observer, thread.native_id)) == "process.foreign"
    finally:
        stop.set()
        thread.join()


def test_a_kernel_thread_has_no_program(observer):
    facts = met(observer, 2) if Path("/proc/2/exe").is_symlink() else None
    if facts is not None and not os.path.exists("/proc/2/exe"):
        assert (facts.path, facts.sha256) == ("", "")


def test_where_there_is_no_procfs_nobody_is_observed(tmp_path):
    with pytest.raises(Unavailable) as told:
        LinuxProcessObserver(proc=str(tmp_path))
    assert told.value.code == "process.unavailable"


class Tree:
    """A tree like procfs, to lie in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("sys/kernel/random/boot_id", "b-1\n")
        self.write("sys/kernel/overflowuid", "65534\n")
        self.write("sys/kernel/overflowgid", "65534\n")
        self.write("self/uid_map", "         0          0 4294967295\n")
        self.process(os.getpid())

    def write(self, name: str, text: str) -> None:
        place = self.root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def process(self, pid: int, **changed: str) -> None:
        texts = {
            "stat": f"{pid} (agent) S " + " ".join(["1"] * 18) + " 4711 0",
            "status": f"Name:\tagent\nTgid:\t{pid}\nUid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\n",
            "cgroup": "0::/app\n",
            "mountinfo": Path("/proc/self/mountinfo").read_text(),
            **changed,
        }
        for name, text in texts.items():
            self.write(f"{pid}/{name}", text)
        links = {"ns/mnt": "/proc/self/ns/mnt", "ns/user": "/proc/self/ns/user", "root": "/", "exe": SLEEP}
        for name, target in links.items():
            place = self.root / f"{pid}/{name}"
            place.parent.mkdir(exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(target)

    def observed(self, pid: int = 99, **changed: str):
        self.process(pid, **changed)
        return LinuxProcessObserver(proc=str(self.root)).observe(pid, started=4711)


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path)


@pytest.mark.usefixtures("own_root_is_a_mount")
def test_the_tree_is_read_as_proc_is(tree):
    facts = tree.observed()
    assert (facts.process, facts.uid, facts.gid, facts.path, facts.cgroup) == (
        "b-1:99:4711",
        7,
        8,
        SLEEP,
        "/app",
    )


def test_a_command_cannot_pass_for_fields(tree):
    name = "x) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 666 (y"
    facts = tree.observed(
        stat=f"99 ({name}) S " + " ".join(["1"] * 18) + " 4711 0",
        status="Name:\tx\\nUid:\t0\nTgid:\t99\nUid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nUid:\t0\t0\t0\t0\n",
    )
    assert (facts.process, facts.uid) == ("b-1:99:4711", 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:name=systemd:/fake\n0::/real\n", "/real"),
        ("1:name=systemd:/fake\n", ""),
        ("0::/../../other\n", ""),
        ("0::/app (deleted)\n", ""),
        ("0::relative\n", ""),
        ("", ""),
    ],
)
def test_the_cgroup_is_that_of_the_one_hierarchy(text, expected, tree):
    assert tree.observed(cgroup=text).cgroup == expected


def test_files_that_are_not_of_the_format_tell_nothing(tree):
    for changed in ({"stat": ""}, {"status": ""}, {"status": "x" * 2_000_000}, {"stat": "99 (x) S 1"}):
        with pytest.raises(AnswerableError) as told:
            tree.observed(**changed)
        assert told.value.code == "process.gone"


def test_a_mount_that_it_does_not_see_is_no_place_for_a_program(tree):
    facts = tree.observed(mountinfo="junk\n")
    assert (facts.path, facts.sha256) == ("", "")


@pytest.mark.parametrize("ids", [("65534", "8"), ("7", "65534")])
def test_in_a_user_namespace_of_our_own_the_number_for_everybody_is_nobodys(ids, tree):
    status = f"Tgid:\t99\nUid:\t{ids[0]}\t{ids[0]}\nGid:\t{ids[1]}\t{ids[1]}\n"
    assert tree.observed(status=status).uid == int(ids[0])
    tree.write("self/uid_map", "0 1000 1\n")
    assert code_of(lambda: tree.observed(status=status)) == "process.foreign"


@pytest.mark.usefixtures("own_root_is_a_mount")
@pytest.mark.parametrize(("link", "name"), [("ns/mnt", "mount"), ("ns/user", "user"), ("root", "root")])
def test_another_world_is_marked_and_its_path_gives_no_selector(link, name, tree, tmp_path):
    tree.process(99)
    place = tmp_path / "99" / link
    place.unlink()
    os.symlink(tmp_path, place)
    facts = LinuxProcessObserver(proc=str(tmp_path)).observe(99, started=4711)
    assert facts.foreign == (name,)
    assert not [one for one in facts.selectors() if one.startswith("unix:path")]
    assert "unix:uid:7" in facts.selectors()
    digests = [one for one in facts.selectors() if one.startswith("unix:sha256:")]
    assert bool(digests) == (name != "user"), "there anybody can name any file as their program"


def test_what_changes_while_it_is_measured_is_not_believed(tree, tmp_path, monkeypatch):
    tree.process(99)
    observer = LinuxProcessObserver(proc=str(tmp_path))
    read = ProgramReader.read

    def changing(reader, process):
        found = read(reader, process)
        tree.write("99/status", "Tgid:\t99\nUid:\t0\t0\nGid:\t8\t8\n")
        return found

    monkeypatch.setattr(ProgramReader, "read", changing)
    assert code_of(lambda: observer.observe(99, started=4711)) == "process.changed"


def test_a_program_that_changes_while_it_is_read_has_no_digest(tmp_path, monkeypatch):
    made = copied(tmp_path)
    observer = LinuxProcessObserver()
    handle = os.open(made, os.O_PATH)
    hashed = ProgramReader._hashed

    def touching(reader, descriptor, identity):
        digest = hashed(reader, descriptor, identity)
        os.utime(made, ns=(1, time.time_ns()))
        return digest

    monkeypatch.setattr(ProgramReader, "_hashed", touching)
    assert observer._programs._digest(handle)[0] == ""
    os.close(handle)


def test_a_program_that_grows_or_shrinks_while_it_is_read_has_no_digest(tmp_path):
    made = tmp_path / "x"
    made.write_bytes(b"12345")
    reader = LinuxProcessObserver()._programs
    for size in (4, 6):
        descriptor = os.open(made, os.O_RDONLY)
        assert reader._hashed(descriptor, (0, 0, 0, 0, size)) == ""
        os.close(descriptor)
