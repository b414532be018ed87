"""Which process is at the other end, from real sockets, real processes and a made-up /proc."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from answerable.apps.workload_api.peer import SO_PEERPIDFD, connected_process, referenced_process


class OlderKernel:
    """A socket of Linux before 6.5."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.family = real.family

    def getsockopt(self, level, option, size=0):
        if option == SO_PEERPIDFD:
            raise OSError(92, "Protocol not available")
        return self._real.getsockopt(level, option, size)


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def own_stat(folder, *, started=None, uid=None):
    """A /proc with this process alone."""
    mine = folder / str(os.getpid())
    mine.mkdir()
    with open(f"/proc/{os.getpid()}/stat") as file:
        command, _, rest = file.read().rpartition(")")
    fields = rest.split()
    fields[19] = str(started) if started is not None else fields[19]
    (mine / "stat").write_text(f"{command}) {' '.join(fields)}")
    uid = os.geteuid() if uid is None else uid
    (mine / "status").write_text(f"Uid:\t7\t{uid}\t7\t7\nGid:\t7\t{os.getegid()}\t7\t7\n")
    return folder


def test_the_other_end_of_a_unix_socket_is_known_and_alive():
    one, other = socket.socketpair()
    with one, other:
        peer = connected_process(one)
        assert peer is not None
        assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())
        assert peer.is_alive()
        assert not os.get_inheritable(peer.pidfd)
        peer.close()
        peer.close()
        assert not peer.is_alive()


def test_an_older_kernel_leads_to_the_same_process():
    one, other = socket.socketpair()
    with one, other:
        newer, older = connected_process(one), connected_process(OlderKernel(one))
        assert newer is not None
        assert older is not None
        assert (newer.pid, newer.started, newer.uid) == (older.pid, older.started, older.uid)
        newer.close()
        older.close()


def test_an_older_kernel_finds_out_a_pid_that_runs_under_another_user_now(tmp_path):
    one, other = socket.socketpair()
    with one, other:
        assert connected_process(OlderKernel(one), proc=own_stat(tmp_path, uid=os.geteuid() + 1)) is None


def test_nothing_else_than_a_unix_socket_tells():
    assert connected_process(None) is None
    with socket.socket() as tcp:
        assert connected_process(tcp) is None


def test_a_process_that_has_ended_is_nobody_even_before_it_is_waited_for(sleeper):
    process = referenced_process(sleeper.pid)
    assert process is not None
    assert process.is_alive()
    sleeper.stdin.close()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not process.is_alive()
    assert referenced_process(sleeper.pid) is None
    process.close()


def test_a_start_time_that_has_changed_is_another_process(tmp_path):
    process = referenced_process(os.getpid(), proc=own_stat(tmp_path))
    assert process is not None
    (tmp_path / str(os.getpid()) / "stat").write_text("1 (x) S " + " ".join(["1"] * 40))
    assert not process.is_alive()
    process.close()


@pytest.mark.parametrize("pid", [0, -1, 2**30])
def test_no_pid_is_no_process(pid):
    assert referenced_process(pid) is None


def test_a_process_that_proc_does_not_show_is_nobody(tmp_path):
    assert referenced_process(os.getpid(), proc=tmp_path) is None
    mine = own_stat(tmp_path) / str(os.getpid())
    (mine / "stat").unlink()
    assert referenced_process(os.getpid(), proc=tmp_path) is None
    (mine / "stat").write_text("nonsense")
    assert referenced_process(os.getpid(), proc=tmp_path) is None
