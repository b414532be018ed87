"""Revoke certificates on the hosts that trust the authority: extend their revocation list, then end open sessions.

The broker logs in with a certificate of its own, whose forced command is the script below. So a host needs no
additional program: only an account, a folder that it can write to, and `RevokedKeys` pointing there. Names are sent on
standard input, never as arguments. Revocations that arrive while another is in progress go together with the next, so
that a host gets one connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from answerable.adapters.ssh_certificates.authority import Ordered
from answerable.adapters.ssh_certificates.forced_command import command_line
from answerable.adapters.ssh_certificates.runner import heard
from answerable.adapters.ssh_certificates.scope import REVOKER, principal_of
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, Secret
from answerable.core.lease.name import account_of, lease_name
from answerable.errors import Unavailable, shown
from answerable.errors.codes.leases import LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import Collection

    from answerable.adapters.ssh_certificates.authority import UserAuthority
    from answerable.adapters.ssh_certificates.hosts import Host
    from answerable.adapters.ssh_certificates.limits import Limits
    from answerable.adapters.ssh_certificates.runner import Run, Runner
    from answerable.core.lease.name import LeaseName
    from answerable.ports.clock import Clock

KEY_ID: Final = "answerable-revocation"
KEY_SECONDS: Final = 60
_OWN: Final = lease_name(bytes(16))

SCRIPT: Final = r"""
set -u; umask 022; cd "$1" || exit 10; keep=$2; authority=$3
exec 9>>lock || exit 11; flock -w 5 9 || exit 11
cat >wanted.new || exit 12
now=$(date +%s); end=$((now+keep))
{ [ ! -f names ] || awk -v now="$now" '$1>now' names; awk -v end="$end" '{print end, $1}' wanted.new; } |
  sort -u >names.new || exit 12
awk '{print "id: " $2}' names.new | sort -u >spec.new || exit 12
printf '%s\n' "$authority" >authority.new || exit 12
ssh-keygen -q -k -f keys.new -s authority.new spec.new </dev/null >/dev/null || exit 13
sync names.new keys.new 2>/dev/null
mv names.new names && mv keys.new revoked_keys || exit 12
words() { tr '\0' '\n' <"/proc/$1/$2" 2>/dev/null; }
processes() {
  # `sed` itself would stop at the first process that ends while it is read, and miss all behind it.
  cat /proc/[0-9]*/stat 2>/dev/null |
    sed -n 's/^\([0-9]*\) (\(.*\)) [^ZX] \([0-9]*\) [0-9]* \([0-9]*\) .*/\1 \3 \4 \2/p'
}
open() {
  # The status of grep is no answer: it fails for each process that ends before it is read, whatever it found in others.
  sed 's/.*/ANSWERABLE_LEASE=&\//' wanted.new >marks.new
  shells=$(grep -lzFxsf wanted.new /proc/[0-9]*/cmdline)
  started=$(grep -lzFsf marks.new /proc/[0-9]*/environ)
  processes >processes.new
  for file in $shells; do
    pid=${file#/proc/}; pid=${pid%/cmdline}
    [ "$(words "$pid" cmdline | sed -n 1,2p | tr '\n' ' ')" = "/bin/sh -c " ] || continue
    name=$(words "$pid" cmdline | sed -n 4p | grep -Fxf wanted.new) || continue
    # A shell of ours: below sshd, or first in its session, or in one whose first process has ended.
    awk -v pid="$pid" -v name="$name" '{ comm[$1]=$4 } $1==pid { parent=$2; session=$3 }
      END { if (comm[parent] ~ /^sshd/) print parent, session, name
            else if (session && (session==pid || !(session in comm))) print "-", session, name }' processes.new
  done
  # What a command started has lease and session in its environment, also where it has ended our shells.
  for file in $started; do
    pid=${file#/proc/}; pid=${pid%/environ}
    mark=$(words "$pid" environ | grep '^ANSWERABLE_LEASE=' | grep -Ff marks.new | sed -n 1p)
    name=${mark#*=}; name=${name%%/*}
    awk -v pid="$pid" -v session="${mark##*/}" -v name="$name" \
      '$1==pid && $3==session { print "-", session, name }' processes.new
  done
}
tries=0; : >cut.new
while open | sort -u >open.new; [ -s open.new ] && [ $tries -lt 20 ]; do
  [ $tries = 0 ] || sleep 0.1
  tries=$((tries+1))
  while read -r parent session name; do
    [ "$parent" = - ] || kill -KILL "$parent" 2>/dev/null
    echo "$session cut $name" >>cut.new
    # Again until none is left: what a process had just forked is in no list that was read before.
    again=0
    while [ $again -lt 50 ]; do
      alive=$(processes | awk -v session="$session" '$3==session {print $1}')
      [ -n "$alive" ] || break
      kill -KILL $alive 2>/dev/null; again=$((again+1))
    done
  done <open.new
done
sort -u cut.new | sed 's/^[0-9]* //'
while read -r parent session name; do echo "left $name"; done <open.new
rm -f wanted.new marks.new spec.new authority.new open.new processes.new cut.new
echo revoked
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The result of a revocation. cut: sessions that were ended. left: sessions that still run."""

    cut: int = 0
    left: int = 0


@dataclass(slots=True)
class _Batch:
    """Names that are sent together, and the result."""

    names: set[str] = field(default_factory=set)
    done: anyio.Event = field(default_factory=anyio.Event)
    said: tuple[str, ...] | None = None
    fault: Unavailable | None = None


class Revoking:
    """Revokes on hosts. login: the account on each host. folder: absolute path of the folder with `revoked_keys` and
    `names`."""

    def __init__(
        self,
        *,
        clock: Clock,
        authority: UserAuthority,
        hosts: tuple[Host, ...],
        source_addresses: tuple[str, ...],
        runner: Runner,
        limits: Limits,
        login: str,
        folder: str,
    ) -> None:
        self._clock = clock
        self._authority = authority
        self._hosts = {host.name: host for host in hosts}
        self._source_addresses = source_addresses
        self._runner = runner
        self._limits = limits
        self._login = login
        self._folder = folder.rstrip("/")
        self._waiting: dict[str, _Batch] = {}
        self._turns = {name: anyio.Lock() for name in self._hosts}

    @property
    def names_path(self) -> str:
        """The list that the shell around each command reads."""
        return f"{self._folder}/names"

    async def revoke(self, name: LeaseName, hosts: Collection[str]) -> Ended:
        """Revoke a lease on each of these hosts. Raises Unavailable (`lease.target`) if one of them did not confirm;
        the others have done it."""
        account = account_of(name)
        said: list[str] = []
        faults: list[Unavailable] = []

        async def on(host: str) -> None:
            try:
                said.extend(await self._on_host(host, account))
            except Unavailable as fault:
                faults.append(fault)

        async with anyio.create_task_group() as tasks:
            for host in sorted(hosts):
                tasks.start_soon(on, host)
        if faults:
            raise faults[0]
        return Ended(cut=said.count(f"cut {account}"), left=said.count(f"left {account}"))

    async def _on_host(self, host: str, account: str) -> tuple[str, ...]:
        """Return the host's output for the batch with this name. The first of a batch to acquire the lock sends all of
        it; if that one is cancelled meanwhile, the others start over."""
        while True:
            batch = self._waiting.setdefault(host, _Batch())
            batch.names.add(account)
            async with self._turns[host]:
                if not batch.done.is_set():
                    self._waiting.pop(host)
                    try:
                        batch.said = await self._sent(self._hosts[host], batch.names)
                    except Unavailable as fault:
                        batch.fault = fault
                    finally:
                        batch.done.set()
            if batch.said is not None:
                return batch.said
            if batch.fault is not None:
                raise batch.fault

    async def _sent(self, host: Host, names: set[str]) -> tuple[str, ...]:
        credential = self._own(host)
        run: Run | None = None
        with anyio.move_on_after(self._limits.revoke_seconds):
            try:
                async with self._runner.running(credential, host, self._login) as (process, run):
                    await heard(process, run, "".join(f"{name}\n" for name in sorted(names)).encode())
            except Unavailable as fault:
                raise _failed(host, fault.message, sent=False) from None
        if run is None or not run.has_ended:
            words = "no answer in time" if run is None else run.last_words()
            raise _failed(host, words, sent=run is not None and run.is_authenticated)
        lines = tuple(run.stdout.text.splitlines())
        if run.status != 0 or lines[-1:] != ("revoked",):
            told = run.stderr.text.strip().splitlines()[-1:] or [f"exit status {run.status}"]
            raise _failed(host, f"its list could not be changed: {told[0]}", sent=True)
        return lines

    def _own(self, host: Host) -> Credential:
        key = ed25519.Ed25519PrivateKey.generate()
        now = self._clock.now() // 1000
        ends_at = now + KEY_SECONDS + self._limits.clock_skew_seconds
        # A name stays listed for as long as any certificate with that name can be valid.
        kept = 2 * (self._limits.ttl_seconds_max + self._limits.clock_skew_seconds)
        words = ("/bin/sh", "-c", SCRIPT, KEY_ID, self._folder, str(kept), self._authority.public_line)
        certificate = self._authority.certify(
            key.public_key(),
            Ordered(
                key_id=KEY_ID,
                serial=0,
                principal=principal_of(REVOKER, host.name),
                starts_at=now - self._limits.clock_skew_seconds,
                ends_at=ends_at,
                forced_command="exec " + command_line(words),
                source_addresses=self._source_addresses,
            ),
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        return Credential(
            lease=_OWN,
            account=KEY_ID,
            expires_at=UnixMillis(ends_at * 1000),
            secret=Secret(private_key=private, certificate=certificate),
        )


def _failed(host: Host, why: str, *, sent: bool) -> Unavailable:
    return LEASE_TARGET(
        f"leases cannot be revoked on {shown(host.name)}: {shown(why)}", effect="unknown" if sent else "none"
    )
