"""One life of a real `answerable up`, in which every feature is prepared, and what tests ask of it at its doors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from copy import copy
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.sdk.enrolment import EnrolmentClient
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import create_key, load_key
from answerable.sdk.proof_auth import SignatureAuth
from answerable.sdk.signing import signed_mandate
from answerable.sdk.system_access import SystemAccess
from answerable.testing.soft_passkey import SoftPasskey
from tests.probes.console_client import challenge_of, registration_members, sent_by_script
from tests.probes.full_disk import small_disk
from tests.probes.read_only_disk import FailingDisk
from tests.seams import notes
from tests.seams.documents import AGENTS, PEOPLE, RULES, SPARE_TOOLS, company, policy_set
from tests.seams.home import SETTINGS, TARGET, Home
from tests.seams.login import SECRET, Login
from tests.seams.notes import Notes
from tests.seams.said import Said, read_answer
from tests.seams.wall import Wall
from tests.worlds.base_installation import BaseInstallation, shared_installation
from tests.worlds.gateway import modern, modern_headers
from tests.worlds.up import environment

GRANTS = (
    "bank.read", "bank.pay", "bank.note", "bank.tell", "bank.wipe", "bank.prepare", "bank.execute", "cases.read",
    "notes.read",
    *(f"bank.spare{number}" for number in range(SPARE_TOOLS)),
)  # fmt: skip
HOUR_MS = 3_600_000
WAIT_SECONDS_MAX = 60
"""It bounds a test that hangs, and is no claim."""


class Life:
    """root: everything of it. kept: what a row has to remember. faults: what went wrong with it. Both by its name."""

    def __init__(self, root: Path, login: Login, settings: str = SETTINGS, *, shard: str = "") -> None:
        self.root, self.login = root, login
        self.home = Home(root, settings, shard=shard)
        self.journal = root / "journal"
        self.wall: Wall | None = None
        self.disk = FailingDisk(root / "disk fails")
        self.ahead = 0
        self.world = SystemAccess(unix_seconds=lambda: time.time() + self.ahead)
        self.kept: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, Exception] = {}
        for name in (*PEOPLE, *AGENTS, "fay-new", "scout", "scout-2", "stranger"):
            create_key(root / f"{name}.jwk", seed=os.urandom(32))
        targets = self.home.data / "broker/targets"
        targets.mkdir(mode=0o700, parents=True)
        (targets.parent).chmod(0o700)
        tokens = self.home.data / "broker/cases-tokens"
        self.notes = Notes(root / "notes")
        for name, text in (
            ("cases.toml", TARGET.format(url=login.url, tokens=tokens)),
            ("secret", SECRET),
            ("notes.toml", notes.TARGET.format(port=self.notes.port)),
            ("password", self.notes.password),
        ):
            (targets / name).touch(mode=0o600)
            (targets / name).write_text(text)

    def beside(self, shard: str) -> Life:
        """The same life at another process on its data directory."""
        other = copy(self)
        for name in ("control", "gateway"):
            other.__dict__.pop(name, None)
        # Its output has names of its own.
        other.home = Home(self.root, self.home.settings, starts=100, shard=shard, more=self.home.more)
        return other

    # --- its server ---

    def start(self) -> None:
        """Up, with its servers connected."""
        asyncio.run(self.home.start())
        self.until(lambda: set(self.told("/v1/status")["servers"].values()) <= {"up"}, "the servers")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        asyncio.run(self.home.stop(how))

    @staticmethod
    def until(found: Any, what: str) -> Any:
        """Wait for something to become true."""
        give_up = time.monotonic() + WAIT_SECONDS_MAX
        while not (value := found()):
            assert time.monotonic() < give_up, f"waited in vain for {what}"
            time.sleep(0.05)
        return value

    def turn(self, seconds: int) -> None:
        """The clock of the server, and of the agents beside it, to so many seconds from what it really is."""
        assert self.wall is not None
        self.ahead = seconds
        self.wall.set(seconds)

    # --- people, by the control API and the command line ---

    @cached_property
    def control(self) -> httpx2.Client:
        transport = httpx2.HTTPTransport(uds=self.home.socket("control"), trust_env=False, retries=1)
        return httpx2.Client(transport=transport, base_url="http://localhost", timeout=WAIT_SECONDS_MAX)

    def asked(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """What the control API answers."""
        answer = self.control.request(method, path, json=body)
        return answer.status_code, answer.json()

    def told(self, path: str, body: Any = None) -> Any:
        """The same, where it has nothing against it."""
        status, answer = self.asked("GET" if body is None else "POST", path, body)
        assert status == 200, (path, answer)
        return answer

    def items(self, path: str) -> list[Any]:
        return list(self.told(path)["items"])

    def command(self, *words: str, code: int = 0) -> str:
        """What the command line prints: its results, or its errors where it fails."""
        return self.home.command(*words, code=code)

    def printed(self, *words: str, code: int = 0) -> str:
        """Its standard output, whatever it exits with."""
        done = subprocess.run(
            self.home.line(*words), capture_output=True, text=True, env=environment(), stdin=subprocess.DEVNULL,
            timeout=WAIT_SECONDS_MAX, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def as_person(self, name: str, *words: str, key: str = "", code: int = 0) -> str:
        """A command that somebody signs."""
        file = str(self.root / f"{key or name}.jwk")
        return self.command(*words, "--as", name, "--key", file, "--yes", code=code)

    def answer(self, verb: str, approval: str, who: str, *more: str, key: str = "", code: int = 0) -> str:
        """Somebody answers an approval, having typed its name where they are to."""
        typed = self.told(f"/v1/approvals/{approval}")["name_to_type"] if verb == "approve" else ""
        return self.as_person(
            who, "approval", verb, approval, *more, *(("--typed", typed) if typed else ()), key=key, code=code
        )

    def propose(self, *documents: Any, comment: str = "") -> None:
        """Ada proposes policy sets."""
        (self.root / "policies.yaml").write_text("---\n".join(json.dumps(one) + "\n" for one in documents))
        self.as_person(
            "ada", "policy", "propose", str(self.root / "policies.yaml"), "--comment", comment, code=4
        )

    def publish(self, *documents: Any) -> None:
        """Bela puts into force what Ada proposed."""
        self.propose(*documents)
        (proposal,) = self.items("/v1/policy/proposals")
        self.as_person("bela", "policy", "publish", proposal["id"])

    def approve_tool(self, tool: str, server: str = "bank") -> None:
        """Its owner lets it through as it is offered."""
        self.command("tool", "approve", server, tool, "--key", str(self.root / "ada.jwk"), "--yes")

    def held(self, agent: str) -> str:
        """Stop an agent. The hold's id."""
        stopped = self.told(
            "/v1/holds", {"kind": "agent", "name": agent, "reason": "looks odd", "seconds": 0}
        )
        return str(stopped["hold"]["id"])

    def lift(self, hold: str) -> None:
        """Two people let it go on."""
        for name, code in (("ada", 4), ("bela", 0)):
            self.as_person(name, "hold", "lift", hold, "--reason", "looked at it", code=code)

    def registered_manifest(self, name: str, model: str) -> None:
        """Ada says what an agent is made of."""
        document = self.root / "manifest.yaml"
        manifest = ("agent", "manifest")
        project = self.root / "project"
        project.mkdir()
        self.command(
            *manifest,
            "write",
            str(project),
            "--agent",
            name,
            "--out",
            str(document),
            "--yes",
            "--model",
            model,
        )
        token = self.as_person("ada", *manifest, "sign", str(document))
        self.told("/v1/manifests", {"token": token.strip()})

    # --- their devices, at the console ---

    @property
    def console(self) -> str:
        """Its origin, which is another after each start."""
        (line,) = [line for line in self.home.said.splitlines() if line.startswith("console ")]
        return line.split()[1]

    def script(self, path: str, body: Any) -> httpx2.Response:
        """What the console's own script sends."""
        return sent_by_script(self.console, path, body)

    def brought_in(self, name: str, device: SoftPasskey) -> None:
        """Somebody who was invited makes a passkey."""
        code = str(self.told(f"/v1/people/{name}/invite", {"seconds": 600})["code"])
        begun = self.script("/enrol/begin", {"code": code}).json()
        made = registration_members(device.registration(challenge_of(begun)))
        done = self.script(
            "/enrol/finish", {"ceremony": begun["ceremony"], "registration": made, "label": f"{name}'s phone"}
        )
        assert done.status_code == 200, done.text

    def signs_in(self, device: SoftPasskey) -> int:
        """The status of the answer to it."""
        begun = self.script("/sign-in/begin", {}).json()
        answered = device.assertion(challenge_of(begun)).members()
        return self.script(
            "/sign-in/finish", {"ceremony": begun["ceremony"], "assertion": answered, "next": "/"}
        ).status_code

    @property
    def light(self) -> BaseInstallation:
        """What `pip install answerable` installs, with no extra."""
        return shared_installation()

    def apply(self, *documents: Any) -> Any:
        return self.told("/v1/registry/apply", {"documents": [*documents], "prune": False})

    def public(self, name: str) -> str:
        return self.key(name).public.jwk

    def key(self, name: str) -> SigningKey:
        return load_key(self.root / f"{name}.jwk")

    # --- agents ---

    @cached_property
    def origin(self) -> str:
        return str(self.told("/v1/ledger")["origin"])

    def mandate(
        self,
        agent: str = "worker",
        *,
        ms: int = 2 * HOUR_MS,
        grants: tuple[str, ...] = GRANTS,
        name: str = "",
        **terms: Any,
    ) -> str:
        """Ada lets an agent do this for a while."""
        now = time.time_ns() // 1_000_000
        made = MandateTerms(
            id=MandateId(name or uuid.uuid4().hex), principal=PrincipalId("ada"), agent=AgentId(agent), use_case="desk",
            purpose="Help a customer", grants=tuple(Grant(capability=name) for name in grants), caveats=(),
            calls_max=100_000, not_before=UnixMillis(now), expires_at=UnixMillis(now + ms), **terms,
        )  # fmt: skip
        token = signed_mandate(made, audience=self.origin, key=self.key("ada"))
        return str(self.told("/v1/mandates", {"token": token})["id"])

    @cached_property
    def gateway(self) -> httpx2.Client:
        transport = httpx2.HTTPTransport(uds=self.home.socket("gateway"), trust_env=False, retries=1)
        return httpx2.Client(transport=transport, base_url="http://localhost", timeout=WAIT_SECONDS_MAX)

    def call(
        self,
        agent: str,
        mandate: str,
        tool: str,
        /,
        *,
        server: str = "bank",
        chain: str = "",
        **arguments: Any,
    ) -> Said:
        """One call of an agent."""
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            **{name.replace("_", "-"): value for name, value in modern_headers("tools/call", tool).items()},
            **({"answerable-delegation": chain} if chain else {}),
        }
        answer = self.gateway.post(
            f"/mcp/{server}",
            content=modern("tools/call", {"name": tool, "arguments": arguments}),
            headers=headers,
            auth=SignatureAuth(self.key(agent), mandate=mandate, world=self.world),
        )
        return read_answer(answer)

    def enrolled(self, name: str, *, parent: str = "") -> str:
        """This process, attested by the kernel, or a sub-agent of one that was. The instance's name."""

        async def enrol() -> str:
            http, base = open_client(f"unix:{self.home.socket('gateway')}")
            async with http:
                client = EnrolmentClient(http, base)
                challenge = await client.challenge()
                if parent:
                    auth = SignatureAuth(self.key(parent))
                    return str(
                        (await client.enrol_sub_agent(challenge, parent=auth, key=self.key(name))).instance
                    )
                unix = {"type": "unix"}
                return str((await client.enrol(challenge, key=self.key(name), attestation=unix)).instance)

        return asyncio.run(enrol())

    def reads(self, agent: str, mandate: str, **more: Any) -> str:
        """The code of a call that does nothing but to show whether an agent may act."""
        return self.call(agent, mandate, "read", account="A1", **more).code

    def pays(self, agent: str, mandate: str, to: str, amount: int) -> Said:
        return self.call(agent, mandate, "pay", account="A1", amount=amount, to=to)

    def lines(self) -> list[dict[str, Any]]:
        """What the bank was told, in order."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def done(self, tool: str, **arguments: Any) -> int:
        """How often it was told exactly this."""
        return self.lines().count({"tool": tool, **arguments})


@contextlib.contextmanager
def life(settings: str = SETTINGS, *, shard: str = "", clock: bool = False, disk: str = "") -> Iterator[Life]:
    """clock: its wall clock can be set. disk: `small`, one of its own; `failing`, one that can become read-only. It is
    up, its company is registered, and its tools are approved, all but `wipe` and a few to spare."""
    login = Login()
    with TemporaryDirectory(prefix="seams-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        if disk == "small":
            stack.enter_context(small_disk(Path(folder) / "house"))
        one = Life(Path(folder), login, settings, shard=shard)
        one.home.more = one.disk.environment if disk == "failing" else {}
        if clock:
            one.wall = Wall(one.root / "clock")
            one.home.more = one.wall.environment
        one.home.more = one.notes.beside(one.home.more)
        try:
            one.start()
            found(one)
            yield one
        finally:
            if one.home.process is not None:
                one.stop(signal.SIGKILL)
            login.stop()
            one.notes.stop()


def found(one: Life) -> None:
    """Register the company, and let its tools through."""
    keys = {name: one.public(name) for name in (*PEOPLE, *AGENTS)}
    one.apply(*company(keys, one.journal))
    one.publish(policy_set("house", RULES))
    one.until(lambda: one.told("/v1/status")["servers"].get("bank") == "up", "the bank")
    for tool in ("read", "pay", "note", "prepare", "execute"):
        one.approve_tool(tool)
    one.until(lambda: one.told("/v1/status")["servers"].get("cases") == "up", "the place of cases")
    one.approve_tool("read", "cases")
    one.until(lambda: one.told("/v1/status")["servers"].get("notes") == "up", "the note service")
    one.approve_tool("read", "notes")
