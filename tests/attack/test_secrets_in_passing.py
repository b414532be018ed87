"""A standing secret that passes through the broker goes no further, is exposed from then on, and is told by name."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import ClassVar

import anyio
import pytest

from answerable.adapters.secret_store import Keyring, SealedSecretStore
from answerable.core.lease.credential import Performed
from answerable.errors import Refused, Unavailable
from answerable.flows.leases.guard_secrets import SMALL_BYTES, guarded
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.leases.revoke_lease import end_within
from answerable.flows.leases.rotate_account import OwnSecret
from answerable.flows.leases.rotate_due import keep_rotating
from answerable.flows.leases.secret_desk import SecretState, keep_looking, look
from answerable.testing.entropy import SeededEntropy
from answerable.testing.memory_target import MemorySession
from tests.worlds.lease import LeaseWorld, quiet, until, warrant

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SECRET-08")]

VALUE = 'a-"quoted"\\standing-password'
BAIT = "AKIAQQQQWWWWEEEERRRR"
FORMS = {
    "plain": f"before {VALUE} after",
    "base64": b64encode(f"user:{VALUE}".encode()).decode(),
    "hex": VALUE.encode().hex(),
    "canary": f"[default] {BAIT}",
    "long": "x" * 3 * SMALL_BYTES + VALUE,
}


class House:
    """A store on real files, one target, and what the broker knows of both."""

    def __init__(self, folder: Path) -> None:
        self.world = LeaseWorld()
        self.target = self.world.target()
        self.folder = folder
        entropy = SeededEntropy(5)
        self.store = SealedSecretStore.open(
            folder / "secrets", Keyring(folder / "keyring", entropy), clock=self.world.clock, entropy=entropy
        )
        self.store.put("db", VALUE.encode(), kind="static", owner="", about="", rotate_days=0)
        self.store.put("bait", BAIT.encode(), kind="canary", owner="", about="", rotate_days=0)
        self.desk = SecretState(
            opens=lambda: self.store,
            clock=self.world.clock,
            entropy=entropy,
            used_by={"one": frozenset({"db"})},
        )

    def exposed(self) -> dict[str, str]:
        return {one.name: one.exposed_why for one in self.store.listed() if one.exposed_at}


@pytest.fixture
async def house(tmp_path):
    made = House(tmp_path)
    await look(made.desk)
    return made


def told(performed: Performed) -> str:
    text = repr((performed.result, performed.session))
    for value in (VALUE, VALUE.encode().hex(), BAIT, FORMS["base64"]):
        assert value not in text
    return text


@pytest.mark.parametrize("form", FORMS)
async def test_an_answer_with_a_secret_is_withheld_and_its_lease_ends(house, form):
    house.target.values["case-1"] = FORMS[form]
    name = "bait" if form == "canary" else "db"
    async with house.world.broker() as desk:
        desk.secrets = house.desk
        asked = warrant(1, window="task", now=house.world.clock.now())
        performed, lease = await perform_leased(desk, asked, "get", {"key": "case-1"})
        assert name in told(performed)
        assert performed.session[-1] == ("secret_withheld", name)
        assert "scout" in house.exposed()[name], "it is on the disk before the answer goes"
        await quiet(desk)
        ended = desk.register.get(lease.name)
        assert ended is not None
        assert (ended.state, name in ended.why) == ("ended", True), "a task that was shown one is over"


@pytest.mark.parametrize("form", FORMS)
async def test_an_argument_with_a_secret_is_sent_nowhere_and_nothing_is_minted(house, form):
    name = "bait" if form == "canary" else "db"
    async with house.world.broker() as desk:
        desk.secrets = house.desk
        asked = warrant(1, now=house.world.clock.now())
        arguments = {"key": "case-1", "more": [{"deep": FORMS[form]}]}
        with pytest.raises(Refused) as refused:
            await perform_leased(desk, asked, "get", arguments)
        assert refused.value.code == "secret.passed"
        assert name in refused.value.message
        assert VALUE not in str(refused.value)
        assert BAIT not in str(refused.value)
    assert house.target.done == []
    assert list(house.world.register.open_leases()) == []
    assert not house.world.register.ended(10)
    assert list(house.exposed()) == [name]


async def test_a_name_of_a_member_is_looked_at_like_a_value(house):
    async with house.world.broker() as desk:
        desk.secrets = house.desk
        with pytest.raises(Refused) as refused:
            await perform_leased(desk, warrant(1, now=house.world.clock.now()), "get", {VALUE: 1})
    assert refused.value.code == "secret.passed"


@pytest.mark.parametrize("effect", ["none", "unknown"])
async def test_a_failure_whose_words_hold_a_secret_is_told_without_them(house, monkeypatch, effect):
    async def fails(self, tool, arguments, *, tag, seconds_max, progress=None):
        raise Unavailable(f"login failed for {VALUE}", code="target.odd", port="target", effect=effect)

    monkeypatch.setattr(MemorySession, "perform", fails)
    async with house.world.broker() as desk:
        desk.secrets = house.desk
        with pytest.raises(Unavailable) as failed:
            await perform_leased(desk, warrant(1, now=house.world.clock.now()), "get", {"key": "case-1"})
        await quiet(desk)
    assert (failed.value.code, failed.value.effect) == ("target.odd", effect)
    assert VALUE not in str(failed.value)
    assert "db" in failed.value.message
    assert "db" in house.exposed()


async def test_progress_tells_no_secret_whole_or_in_pieces(house):
    heard: list[tuple[float, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, message))

    told_on = guarded(house.desk, progress, by="one get")
    assert told_on is not None
    for number, words in enumerate(["begun", VALUE[:12], VALUE[12:], "done"]):
        await told_on(float(number), None, words)
    assert heard[0] == (0.0, "begun")
    assert heard[2] == (2.0, None)
    assert "db" in house.exposed()


async def test_a_store_that_cannot_be_written_lets_nothing_pass_and_is_told_later(house, monkeypatch):
    house.target.values["case-1"] = VALUE

    def full(*_: object) -> None:
        raise Unavailable("the disk is full", code="secrets.unavailable", port="secret_store")

    async with house.world.broker() as desk:
        desk.secrets = house.desk
        with monkeypatch.context() as patched:
            patched.setattr(SealedSecretStore, "expose", full)
            asked = warrant(1, now=house.world.clock.now())
            performed, _ = await perform_leased(desk, asked, "get", {"key": "case-1"})
            told(performed)
            assert house.exposed() == {}
            with pytest.raises(Refused) as refused:
                await perform_leased(desk, warrant(2, now=house.world.clock.now()), "get", {"key": "case-1"})
            assert refused.value.code == "secret.exposed", "it holds at once all the same"
        await look(house.desk)
        assert "scout" in house.exposed()["db"]
        assert house.desk.untold == {}


async def test_what_holds_no_secret_passes_as_it_is(house):
    house.target.values["case-1"] = "a-standing-passwor, and nothing of it"
    async with house.world.broker() as desk:
        desk.secrets = house.desk
        asked = warrant(1, now=house.world.clock.now())
        performed, _ = await perform_leased(desk, asked, "get", {"key": "case-1"})
    assert performed.result["content"] == [{"type": "text", "text": house.target.values["case-1"]}]
    assert house.exposed() == {}


@pytest.mark.requirement("SECRET-09")
async def test_while_a_secret_is_exposed_nothing_is_begun_and_leases_end_until_a_newer_version_is_there(
    house,
):
    now = house.world.clock.now()
    async with house.world.broker() as desk, anyio.create_task_group() as tasks:
        desk.secrets = house.desk
        tasks.start_soon(keep_looking, house.desk)
        tasks.start_soon(keep_rotating, house.desk)
        await perform_leased(desk, warrant(1, window="task", now=now), "get", {"key": "case-1"})
        house.store.expose("db", "seen in a ticket")
        await look(house.desk)
        before = list(house.target.done)
        with pytest.raises(Refused) as refused:
            await perform_leased(desk, warrant(2, now=now), "get", {"key": "case-1"})
        assert refused.value.code == "secret.exposed"
        assert "answerable secret rotate db" in refused.value.message
        assert house.target.done == before
        assert len(end_within(desk, [("agent", "scout")], why="held")) == 1
        await quiet(desk)
        assert await house.target.live() == ()
        house.world.clock.advance(1)
        house.store.rotate("db", b"another-standing-password")
        with anyio.fail_after(10):
            await until(lambda: not house.desk.exposed)
        performed, _ = await perform_leased(
            desk, warrant(3, now=house.world.clock.now()), "get", {"key": "case-1"}
        )
        assert "isError" not in performed.result
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("SECRET-09")
async def test_where_the_settings_say_so_an_exposed_secret_is_used_and_stays_due(house):
    house.desk.refuses_exposed = False
    house.store.expose("db", "seen in a ticket")
    await look(house.desk)
    async with house.world.broker() as desk:
        desk.secrets = house.desk
        await perform_leased(desk, warrant(1, now=house.world.clock.now()), "get", {"key": "case-1"})
    assert house.store.listed()[1].due(house.world.clock.now())


@pytest.mark.requirement("SECRET-07", "SECRET-09")
async def test_one_that_the_broker_can_change_is_exposed_for_the_moment_that_it_takes(house):
    class Account:
        place = "memory"
        taken = VALUE

        async def set_to(self, new, *, known, cuts):
            assert self.taken in known
            assert cuts
            self.taken = new

        async def takes(self, value):
            return value == self.taken

    account = Account()
    house.desk.own = {"db": OwnSecret(name="db", account=account)}
    house.target.values["case-1"] = VALUE
    async with house.world.broker() as desk, anyio.create_task_group() as tasks:
        desk.secrets = house.desk
        tasks.start_soon(keep_rotating, house.desk)
        now = house.world.clock.now()
        performed, _ = await perform_leased(desk, warrant(1, now=now), "get", {"key": "case-1"})
        told(performed)
        with anyio.fail_after(5):
            await until(lambda: account.taken != VALUE and not house.desk.exposed)
        performed, _ = await perform_leased(desk, warrant(2, now=now), "get", {"key": "case-1"})
        assert performed.result["content"] == [{"type": "text", "text": VALUE}], "it opens nothing any more"
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("TARGET-12")
async def test_an_account_that_fails_with_a_secret_in_its_words_is_told_without_them(house, caplog):
    class Account:
        place = "memory"
        tried: ClassVar[list[str]] = []

        async def set_to(self, new, *, known, cuts):
            self.tried.append(str(new))
            raise RuntimeError(f"cannot set {new}, was {VALUE}")

        async def takes(self, value):
            return value == VALUE

    account = Account()
    house.desk.own = {"db": OwnSecret(name="db", account=account)}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_rotating, house.desk)
        house.store.expose("db", "seen in a ticket")
        await look(house.desk)
        with anyio.fail_after(5):
            await until(lambda: "could not be replaced at its target" in caplog.text)
        tasks.cancel_scope.cancel()
    assert "`RuntimeError` in line " in caplog.text
    assert account.tried
    assert not [one for one in (VALUE, *account.tried) if one in caplog.text]


@pytest.mark.requirement("SECRET-08", "SECRET-09")
async def test_what_targets_refer_to_outside_of_the_store_is_kept_back_alike_until_it_is_another(house):
    files = {"password of target one": "of-a-file-elsewhere"}
    house.desk.elsewhere = lambda: dict(files)
    house.desk.used_by = {"one": frozenset(files)}
    house.world.clock.advance(60)
    await look(house.desk)
    house.target.values["case-1"] = f"it is {files['password of target one']}"
    async with house.world.broker() as desk:
        desk.secrets = house.desk
        now = house.world.clock.now()
        performed, _ = await perform_leased(desk, warrant(1, now=now), "get", {"key": "case-1"})
        assert "of-a-file-elsewhere" not in repr(performed)
        assert performed.session[-1] == ("secret_withheld", "password of target one")
        await look(house.desk)
        with pytest.raises(Refused) as refused:
            await perform_leased(desk, warrant(2, now=now), "get", {"key": "case-1"})
        assert (refused.value.code, "target file" in refused.value.message) == ("secret.exposed", True)
        house.store.expose("bait", "something else changes")
        await look(house.desk)
        assert "password of target one" in house.desk.exposed
        assert "of-a-file-elsewhere" not in repr(house.desk)
        files["password of target one"] = "of-a-file-that-is-new"
        house.world.clock.advance(60)
        await look(house.desk)
        assert "password of target one" not in house.desk.exposed
        later = warrant(3, now=house.world.clock.now())
        await perform_leased(desk, later, "get", {"key": "case-1"})
