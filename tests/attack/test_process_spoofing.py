"""Local processes that try to be taken for another program, another user or another process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from answerable.adapters.linux_process import LinuxProcessObserver
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.attestation import RegistrationEntry, matching_agent
from answerable.errors import AnswerableError
from tests.probes.loud_skips import not_proven

SLEEP = os.path.realpath(shutil.which("sleep") or "/bin/sleep")


def code_of(ask) -> str:
    with pytest.raises(AnswerableError) as told:
        ask()
    return told.value.code


@pytest.mark.requirement("ATTEST-01")
def test_naming_anothers_process_gives_nothing_without_its_start_time_and_handle():
    observer = LinuxProcessObserver()
    with subprocess.Popen([SLEEP, "60"]) as victim:
        mine = os.pidfd_open(os.getpid())
        started = observer.started(victim.pid)
        assert code_of(lambda: observer.observe(victim.pid, started=started, pidfd=mine)) == "process.gone"
        start_of_mine = observer.started(os.getpid())
        assert code_of(lambda: observer.observe(victim.pid, started=start_of_mine)) == "process.gone"
        os.close(mine)
        victim.kill()
    for pid in (0, -1, 2**31):
        assert code_of(lambda pid=pid: observer.observe(pid, started=0)) == "process.gone"


@pytest.mark.requirement("ATTEST-01")
def test_a_number_that_was_given_anew_is_not_the_process_that_was_met():
    """The kernel is asked for the very same number again, by way of its counter, in a PID namespace of its own."""
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", REUSE],
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if b"unshare" in done.stderr or b"last_pid" in done.stderr:
        not_proven(
            f"PID REUSE NOT PROVEN here: namespaces are not allowed: {done.stderr.decode()[:200]}",
            name="namespaces",
        )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.split() == [b"same", b"process.gone", b"process.gone", b"False"]


REUSE = """
import os, subprocess, time
from answerable.adapters.linux_process import LinuxProcessObserver
from answerable.errors import Unverified
observer = LinuxProcessObserver()
first = subprocess.Popen(["sleep", "60"])
started = observer.started(first.pid)
pidfd = os.pidfd_open(first.pid)
name = observer.observe(first.pid, started=started, pidfd=pidfd).process
first.kill(); first.wait()
time.sleep(0.05)
open("/proc/sys/kernel/ns_last_pid", "w").write(str(first.pid - 1))
second = subprocess.Popen(["sleep", "60"])
print("same" if second.pid == first.pid else "other")
for handle in (None, pidfd):
    try:
        observer.observe(first.pid, started=started, pidfd=handle)
        print("measured")
    except Unverified as told:
        print(told.code)
print(observer.is_alive(name))
second.kill(); second.wait()
"""


def runs(process: subprocess.Popen[bytes], program: str) -> bool:
    """Whether the kernel says so. To who is in a chroot it tells names in other mount namespaces from outside of it."""
    try:
        return os.readlink(f"/proc/{process.pid}/exe").endswith(program)
    except FileNotFoundError:
        process.wait(timeout=60)
        return False


SPOOF = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$(dirname "$TRUSTED")"
cp "$EVIL" "$TRUSTED"
exec "$TRUSTED" 60
"""


@pytest.mark.requirement("ATTEST-01", "ATTEST-03")
@pytest.mark.parametrize("user", [(), ("--user", "--map-root-user")])
def test_a_container_that_puts_its_own_file_under_a_trusted_path_is_not_taken_for_it(user, tmp_path):
    trusted = tmp_path / "bin" / "agent"
    trusted.parent.mkdir()
    trusted.write_bytes(Path(SLEEP).read_bytes() + b"trusted")
    spoof = subprocess.Popen(
        ["unshare", "--mount", *user, "sh", "-c", SPOOF],
        env={**os.environ, "TRUSTED": str(trusted), "EVIL": SLEEP},
        stderr=subprocess.PIPE,
    )
    try:
        while not runs(spoof, str(trusted)):
            if spoof.poll() is not None:
                assert spoof.stderr is not None
                not_proven(f"PATH SPOOF NOT PROVEN here: {spoof.stderr.read().decode()[:200]}")
            time.sleep(0.01)
        observer = LinuxProcessObserver()
        facts = observer.observe(spoof.pid, started=observer.started(spoof.pid))
        assert runs(spoof, str(trusted)), "the kernel shows the trusted name"
        assert "mount" in facts.foreign
        assert ("user" in facts.foreign) == bool(user)
        assert facts.path == ""
        assert not [one for one in facts.selectors() if one.startswith("unix:path:")]
        entry = RegistrationEntry(agent=AgentId("a"), selectors=frozenset({f"unix:path:{trusted}"}))
        assert matching_agent([entry], facts.selectors()) is None
    finally:
        spoof.kill()
        spoof.wait()
        assert spoof.stderr is not None
        spoof.stderr.close()


@pytest.mark.requirement("ATTEST-01", "ATTEST-03")
def test_another_root_directory_does_not_make_a_trusted_path(tmp_path):
    """chroot alone: same namespaces, other tree."""
    program = tmp_path / "agent"
    shutil.copy(SLEEP, program)
    observer = LinuxProcessObserver()
    jailed = subprocess.Popen(
        [sys.executable, "-c", "import os,sys,time\nos.chroot(sys.argv[1])\ntime.sleep(60)", str(tmp_path)],
        stderr=subprocess.PIPE,
    )
    try:
        for _ in range(500):
            if jailed.poll() is not None:
                not_proven("ROOT SPOOF NOT PROVEN here: chroot is not allowed")
            if os.readlink(f"/proc/{jailed.pid}/root") == str(tmp_path):
                break
            time.sleep(0.01)
        facts = observer.observe(jailed.pid, started=observer.started(jailed.pid))
        assert facts.foreign == ("root",)
        assert not [one for one in facts.selectors() if one.startswith("unix:path:")]
    finally:
        jailed.kill()
        jailed.wait()
        assert jailed.stderr is not None
        jailed.stderr.close()


@pytest.mark.requirement("ATTEST-01")
@pytest.mark.parametrize(
    "text",
    ["0::/../trusted\n", "0::/trusted (deleted)\n", "5:cpu:/trusted\n", "0::/x\n1:name=systemd:/trusted\n"],
)
def test_a_cgroup_outside_our_own_or_of_another_hierarchy_is_not_the_trusted_one(text, tmp_path):
    for pid in (os.getpid(), 99):
        (tmp_path / str(pid)).mkdir()
        for name, content in {
            "stat": f"{pid} (agent) S " + "1 " * 18 + "4711 0",
            "status": f"Tgid:\t{pid}\nUid:\t7\t7\nGid:\t7\t7\n",
            "cgroup": text,
            "mountinfo": "",
        }.items():
            (tmp_path / str(pid) / name).write_text(content)
        (tmp_path / str(pid) / "ns").mkdir()
        for name in ("ns/mnt", "ns/user", "root", "exe"):
            (tmp_path / str(pid) / name).symlink_to(f"/proc/self/{name}")
    for name, content in {"sys/kernel/random/boot_id": "b-1", "self/uid_map": "0 0 4294967295"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    facts = LinuxProcessObserver(proc=str(tmp_path)).observe(99, started=4711)
    assert "unix:cgroup:/trusted" not in facts.selectors()


LOOK_ALIKE = "/kubepods/trusted"
IN_A_CGROUP_NAMESPACE = """
set -e
mount --make-rprivate /
mkdir "$WHERE" && mount -t cgroup2 none "$WHERE"
mkdir -p "$WHERE/$NAME$LOOK_ALIKE"
echo $$ > "$WHERE/$NAME/cgroup.procs"
exec unshare --cgroup sh -c '
  set -e
  echo $$ > "$WHERE/$NAME$LOOK_ALIKE/cgroup.procs"
  grep ^0:: /proc/self/cgroup
  exec "$SLEEP" 60
'
"""
UNDER_A_MOUNT = """
set -e
mount --make-rprivate /
mkdir "$WHERE" && echo "0::$LOOK_ALIKE" > "$WHERE/cgroup"
mount --bind "$WHERE/cgroup" /proc/$$/cgroup
grep ^0:: /proc/$$/cgroup
exec "$SLEEP" 60
"""
CLEARED = """
mount --make-rprivate / && mount -t cgroup2 none "$WHERE" && rmdir -p "$WHERE/$NAME$LOOK_ALIKE" 2>/dev/null || true
"""


@pytest.mark.requirement("ATTEST-20", "ATTEST-01")
@pytest.mark.parametrize("script", [IN_A_CGROUP_NAMESPACE, UNDER_A_MOUNT], ids=["namespace", "bind mount"])
def test_a_real_process_that_sees_itself_in_a_trusted_cgroup_is_known_by_where_it_is(script, tmp_path):
    """In a cgroup namespace of its own, and with a file of its own over what it reads of itself."""
    surroundings = {
        **os.environ,
        "WHERE": str(tmp_path / "cgroups"),
        "NAME": f"answerable-test-{os.getpid()}",
        "LOOK_ALIKE": LOOK_ALIKE,
        "SLEEP": SLEEP,
    }
    spoof = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script],
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert spoof.stdout is not None
        assert spoof.stderr is not None
        seen = spoof.stdout.readline().decode().strip()
        if not seen:
            not_proven(f"CGROUP SPOOF NOT PROVEN here: {spoof.stderr.read().decode()[:200]}")
        assert seen == f"0::{LOOK_ALIKE}", "the process believes that it is there"
        while not runs(spoof, SLEEP):
            assert spoof.poll() is None
            time.sleep(0.01)
        observer = LinuxProcessObserver()
        facts = observer.observe(spoof.pid, started=observer.started(spoof.pid))
        assert f"unix:cgroup:{LOOK_ALIKE}" not in facts.selectors()
        entry = RegistrationEntry(
            agent=AgentId("a"), selectors=frozenset({f"unix:uid:{os.geteuid()}", f"unix:cgroup:{LOOK_ALIKE}"})
        )
        assert matching_agent([entry], facts.selectors()) is None
        # It is known by its real place, which is that of a test's own group, or ours.
        ours = LinuxProcessObserver().observe(os.getpid(), started=observer.started(os.getpid())).cgroup
        below = f"/{surroundings['NAME']}{LOOK_ALIKE}"
        assert facts.cgroup == (below if script is IN_A_CGROUP_NAMESPACE else ours)
    finally:
        spoof.kill()
        spoof.communicate()
        subprocess.run(["unshare", "--mount", "sh", "-c", CLEARED], env=surroundings, check=False)


@pytest.mark.requirement("ATTEST-03")
def test_a_program_that_was_replaced_on_disk_is_known_by_what_runs(tmp_path):
    program = tmp_path / "agent"
    shutil.copy(SLEEP, program)
    observer = LinuxProcessObserver()
    with subprocess.Popen([str(program), "60"]) as running:
        fresh = tmp_path / "fresh"
        fresh.write_bytes(b"the trusted program")
        os.replace(fresh, program)
        facts = observer.observe(running.pid, started=observer.started(running.pid))
        running.send_signal(signal.SIGKILL)
    assert (facts.path, facts.sha256) == ("", "")


UNPRIVILEGED = """
import os, sys
from answerable.adapters.linux_process import LinuxProcessObserver
LinuxProcessObserver()  # loads what Python loads late, while its files can be read
os.setgroups([]); os.setresgid(12345, 12345, 12345); os.setresuid(12345, 12345, 12345)
observer = LinuxProcessObserver()
pid = int(sys.argv[1])
facts = observer.observe(pid, started=observer.started(pid))
print(*facts.foreign, "|", *facts.selectors())
"""


@pytest.mark.requirement("ATTEST-01", "ATTEST-03")
def test_where_we_may_not_look_nothing_is_guessed():
    """As an unprivileged server sees the process of another user."""
    if os.geteuid() != 0:
        not_proven("UNPRIVILEGED SERVER NOT PROVEN here: only root can become somebody else", name="root")
    with subprocess.Popen([SLEEP, "60"]) as other:
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, str(other.pid)],
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        other.kill()
    assert done.returncode == 0, done.stderr.decode()
    foreign, _, selectors = done.stdout.decode().partition("|")
    assert foreign.split() == ["mount", "user", "root"]
    assert {one.rsplit(":", 1)[0] for one in selectors.split()} <= {"unix:uid", "unix:gid", "unix:cgroup"}


@pytest.mark.requirement("ATTEST-01", "ATTEST-03")
def test_in_a_user_namespace_of_its_own_a_process_has_no_program():
    """There it holds the capability to name any file as the one that it runs (PR_SET_MM_MAP)."""
    spoof = subprocess.Popen(["unshare", "--user", SLEEP, "60"], stderr=subprocess.PIPE)
    try:
        while not runs(spoof, SLEEP):
            if spoof.poll() is not None:
                assert spoof.stderr is not None
                not_proven(f"PROGRAM SPOOF NOT PROVEN here: {spoof.stderr.read().decode()[:200]}")
            time.sleep(0.01)
        observer = LinuxProcessObserver()
        facts = observer.observe(spoof.pid, started=observer.started(spoof.pid))
        assert (facts.foreign, facts.path, facts.sha256) == (("user",), "", "")
    finally:
        spoof.kill()
        spoof.wait()
        assert spoof.stderr is not None
        spoof.stderr.close()


FROM_MEMORY = """
import os, sys
handle = os.memfd_create("agent")
os.write(handle, open(sys.argv[1], "rb").read())
os.execv(f"/proc/self/fd/{handle}", ["agent", "60"])
"""


@pytest.mark.requirement("ATTEST-03")
def test_a_program_that_is_in_memory_only_has_neither_path_nor_digest():
    observer = LinuxProcessObserver()
    with subprocess.Popen([sys.executable, "-c", FROM_MEMORY, SLEEP]) as running:
        while "memfd" not in os.readlink(f"/proc/{running.pid}/exe"):
            assert running.poll() is None
            time.sleep(0.01)
        facts = observer.observe(running.pid, started=observer.started(running.pid))
        running.kill()
    assert (facts.path, facts.sha256) == ("", "")
