"""Claims about commands, each run through the whole command line against the whole control API in process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import Result

from answerable.apps.control_api.application import control_app
from answerable.core.canonical import JSONValue, encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.flows.recording.record_entry import sealing_for
from tests.probes.typed_lines import typed
from tests.unit.apps.control_api.control_index import indexed
from tests.worlds.control import Product, World, asked, made_world, memory_product
from tests.worlds.revocation_calls import revoke_and_tell
from tests.worlds.stories import texts, told_of

Command = Callable[..., Result]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = made_world(tmp_path)
    made.data.mkdir(mode=0o700)
    return made


@pytest.fixture
def product() -> Product:
    return indexed(memory_product())


@pytest.fixture
def command(world: World, product: Product) -> Command:
    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(product)

    def run(*arguments: str, code: int = 0, stdin: str | None = None) -> Result:
        given = [*arguments, "--data", str(world.data)]
        result = typed(offline, given, stdin=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def applied(command: Command, world: World) -> Command:
    command("apply", "-f", str(world.registry))
    return command


def issued(command: Command, world: World) -> str:
    key = str(world.key("ada"))
    result = command(
        "mandate", "issue", "one-case", "--as", "ada", "--key", key, "--set", "case=4711", "--yes"
    )
    return result.stdout.strip()


def deferred(product: Product, mandate: str) -> str:
    approval = anyio.run(partial(asked, product, "case_delete", "4711", mandate)).approval
    assert approval is not None
    return str(approval.id)


def edited(world: World, old: str, new: str) -> str:
    file = world.registry / "registry.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return str(world.registry)


READS = (
    ("status",),
    ("doctor",),
    ("check-config",),
    ("registry", "check"),
    ("registry", "list"),
    ("registry", "show", "Agent", "support-agent"),
    ("agent", "list"),
    ("agent", "show", "support-agent"),
    ("capability", "list"),
    ("server", "list"),
    ("mandate", "templates"),
    ("mandate", "preview", "one-case", "--as", "ada", "--set", "case=4711"),
    ("mandate", "list"),
    ("approval", "list"),
    ("ledger", "status"),
    ("ledger", "show", "0"),
    ("ledger", "seal"),
)


@pytest.mark.parametrize("read", READS, ids=" ".join)
def test_every_read_has_json_and_plain_text(applied: Command, read: tuple[str, ...]) -> None:
    json.loads(applied(*read, "--json").stdout)
    plain = applied(*read)
    assert plain.stdout or plain.stderr
    assert "\x1b" not in plain.output


def test_reading_without_a_data_directory_makes_none(command: Command, world: World) -> None:
    world.data.rmdir()
    told = command("mandate", "list", code=1).stderr
    assert told.startswith("answerable: there is no data directory")
    assert not world.data.exists()


def test_without_a_server_it_says_so_on_standard_error(command: Command, world: World) -> None:
    assert f": working on {world.data} directly" in command("status").stderr
    assert command("status", "--quiet").stderr == ""


def test_apply_says_what_changed_and_is_idempotent(command: Command, world: World) -> None:
    planned = command("apply", "-f", str(world.registry), "--dry-run")
    assert "+ Agent/support-agent\n" in planned.stdout
    assert "a dry run, so nothing was changed" in planned.stderr
    assert command("apply", "-f", str(world.registry)).stdout == planned.stdout
    again = command("apply", "-f", str(world.registry))
    assert again.stdout == ""
    assert "no changes" in again.stderr


def test_apply_takes_standard_input_and_several_files(command: Command, world: World) -> None:
    document = (
        "apiVersion: answerable/v1\nkind: Principal\nmetadata: {name: dora}\nspec: {displayName: Dora}\n"
    )
    (world.root / "one.yaml").write_text(document.replace("dora", "emil"))
    result = command("apply", "-f", "-", str(world.root / "one.yaml"), stdin=document)
    assert result.stdout == "+ Principal/dora\n+ Principal/emil\n"


def test_a_fault_is_told_with_file_and_line_and_changes_nothing(command: Command, world: World) -> None:
    source = edited(world, "purpose: Answer customers", "porpoise: Answer customers")
    told = command("apply", "-f", source, code=1).stderr
    line = (world.registry / "registry.yaml").read_text().splitlines().index(
        "  porpoise: Answer customers"
    ) + 1
    assert f"{world.registry}/registry.yaml:{line}: unknown key `porpoise`; did you mean `purpose`?" in told
    assert json.loads(command("registry", "list", "--json").stdout) == []
    assert json.loads(command("validate", "-f", source, "--json", code=5).stdout)["faults"]


def test_a_reference_that_the_registry_holds_is_no_fault_of_apply(applied: Command, world: World) -> None:
    lone = world.root / "lone.yaml"
    text = (world.registry / "registry.yaml").read_text()
    lone.write_text(next(part for part in text.split("---\n") if "kind: MandateTemplate" in part))
    applied("validate", "-f", str(lone), code=5)
    lone.write_text(lone.read_text().replace("callsMax: 5", "callsMax: 6"))
    assert applied("apply", "-f", str(lone)).stdout == "~ MandateTemplate/one-case\n"


def test_a_policy_that_does_not_validate_is_refused(command: Command, world: World) -> None:
    source = edited(world, '@id("on-task")', "")
    assert "@id" in command("validate", "-f", source, code=5).stderr
    command("apply", "-f", source, code=1)


def test_diff_shows_each_field(applied: Command, world: World) -> None:
    source = edited(world, "callsMax: 5", "callsMax: 7")
    result = applied("diff", "-f", source)
    assert result.stdout == "~ MandateTemplate/one-case\n    spec.callsMax: 5 → 7\n"
    assert json.loads(applied("diff", "-f", source, "--json").stdout)[0]["how"] == "changed"


def test_pruning_asks_first(applied: Command, world: World) -> None:
    edited(world, "kind: Principal\nmetadata: {name: chen}", "kind: Principal\nmetadata: {name: dora}")
    refused = applied("apply", "-f", str(world.registry), "--prune", code=1)
    assert "add --yes" in refused.stderr
    assert "Principal" in applied("registry", "show", "Principal", "chen").stdout
    pruned = applied("apply", "-f", str(world.registry), "--prune", "--yes")
    assert pruned.stdout == "- Principal/chen\n+ Principal/dora\n"


def test_registry_check_says_what_is_missing_and_fails(command: Command, world: World) -> None:
    source = edited(world, "auditLevel: full, ", "")
    warned = command("apply", "-f", source).stderr
    assert "not active: UseCase/support: ownership lacks auditLevel" in warned
    assert "ownership lacks auditLevel" in command("registry", "check", code=5).stdout
    command("doctor", code=5)


def test_no_files_is_an_error_that_says_what_to_give(command: Command) -> None:
    assert "-f FILE" in command("apply", code=1).stderr


def test_a_mandate_is_shown_signed_with_the_persons_key_and_put_into_force(
    applied: Command, world: World, product: Product
) -> None:
    preview = applied("mandate", "preview", "one-case", "--as", "ada", "--set", "case=4711").stdout
    assert "It can Read a case (`crm.read`), only on `4711`." in preview
    mandate = issued(applied, world)
    (listed,) = json.loads(applied("mandate", "list", "--state", "open", "--json").stdout)
    assert listed["id"] == mandate
    assert "Work on case 4711" in applied("mandate", "show", mandate).stdout
    assert anyio.run(partial(asked, product, "case_read", "4711", mandate)).outcome.status == "succeeded"
    assert applied("mandate", "close", mandate, code=1).stderr.endswith("add --yes\n")
    assert "is closed" in applied("mandate", "close", mandate, "--yes").stderr


@pytest.mark.requirement("REVOKE-10")
def test_revoking_tells_what_was_stopped_and_done(applied: Command, world: World, product: Product) -> None:
    mandate = issued(applied, world)
    revoke_and_tell(applied, mandate, partial(asked, product, "case_read", "4711", mandate))


def test_a_mandate_signed_with_somebody_elses_key_is_denied(applied: Command, world: World) -> None:
    key = str(world.key("bela"))
    told = applied(
        "mandate", "issue", "one-case", "--as", "ada", "--key", key, "--set", "case=4711", "--yes", code=3
    )
    assert told.stdout == ""
    assert json.loads(applied("mandate", "list", "--json").stdout) == []


@pytest.mark.parametrize(("setting", "code"), [("case", 2), ("=4711", 2), ("nonsense=1", 1)])
def test_a_parameter_that_is_none_is_an_error(applied: Command, setting: str, code: int) -> None:
    applied("mandate", "preview", "one-case", "--as", "ada", "--set", setting, code=code)


def test_approving_shows_exactly_what_will_run_and_waits_for_the_others(
    applied: Command, world: World, product: Product
) -> None:
    mandate = issued(applied, world)
    waiting = deferred(product, mandate)
    assert waiting in applied("approval", "list").stdout
    first = applied(
        "approval", "approve", waiting, "--as", "bela", "--key", str(world.key("bela")), "--yes",
        "--typed", "4711", code=4,
    )  # fmt: skip
    assert 'Delete a case: Case "4711" (case_delete on crm)' in first.stdout
    second = applied(
        "approval", "approve", waiting, "--as", "chen", "--key", str(world.key("chen")), "--yes",
        "--comment", "the customer asked for it", "--typed", "4711",
    )  # fmt: skip
    assert "approved" in second.stderr
    shown = applied("approval", "show", waiting, "--all").stdout
    for wanted in ("/arguments/case", "chen said approve", "the customer asked for it"):
        assert wanted in shown
    assert anyio.run(partial(asked, product, "case_delete", "4711", mandate)).outcome.status == "succeeded"
    with told_of(product.walk.recorder) as told:
        assert "It succeeded." in texts(told(waiting))


def test_who_issued_the_mandate_may_not_approve_and_a_no_ends_it(
    applied: Command, world: World, product: Product
) -> None:
    waiting = deferred(product, issued(applied, world))
    own = applied(
        "approval", "approve", waiting, "--as", "ada", "--key", str(world.key("ada")), "--yes",
        "--typed", "4711", code=3,
    )  # fmt: skip
    assert "another person must approve it" in own.stderr
    applied("approval", "deny", waiting, "--as", "bela", "--key", str(world.key("bela")), "--yes")
    late = applied(
        "approval", "approve", waiting, "--as", "chen", "--key", str(world.key("chen")), "--yes", code=3
    )
    assert "can no longer be answered" in late.stderr


def test_an_answer_is_not_signed_without_a_yes(applied: Command, world: World, product: Product) -> None:
    waiting = deferred(product, issued(applied, world))
    applied("approval", "approve", waiting, "--as", "bela", "--key", str(world.key("bela")), code=1)
    (approval,) = json.loads(applied("approval", "list", "--json").stdout)
    assert approval["answers"] == []


def test_what_is_unknown_is_an_error(applied: Command) -> None:
    for arguments in (
        ("mandate", "show", "nothing"),
        ("mandate", "close", "nothing", "--yes"),
        ("approval", "show", "nothing"),
        ("agent", "show", "nothing"),
        ("registry", "show", "Agent", "../../x"),
        ("ledger", "show", "999"),
        ("mandate", "preview", "nothing", "--as", "ada"),
    ):
        told = applied(*arguments, code=1)
        assert told.stdout == ""
        assert told.stderr.splitlines()[-1].startswith("answerable: ")


def test_a_command_line_that_is_not_understood_has_exit_code_2(command: Command) -> None:
    for arguments in (
        ("nonsense",),
        ("mandate", "nonsense"),
        ("approval", "approve", "x"),
        ("status", "--what"),
    ):
        command(*arguments, code=2)


def test_check_config_prints_every_fault(command: Command, world: World) -> None:
    assert "no fault" in command("check-config").stderr
    (world.data / "answerable.toml").write_text("[gateway]\nport = -1\nhots = 1\n")
    result = command("check-config", code=5)
    assert len(result.stdout.splitlines()) == 2
    assert "did you mean `host`?" in command("status", code=1).stderr
    assert "correct the settings file" in command("doctor", code=5).stdout


def test_doctor_finds_a_data_directory_that_others_may_read(command: Command, world: World) -> None:
    world.data.chmod(0o755)
    assert f"chmod 700 {world.data}" in command("doctor", code=5).stdout


def test_a_key_is_made_once_and_only_its_public_half_is_shown(command: Command, world: World) -> None:
    file, public = world.root / "new.jwk", world.root / "new.pub.jwk"
    made = command("key", "new", str(file), "--public", str(public)).stdout
    assert file.stat().st_mode & 0o777 == 0o600
    secret = json.loads(file.read_text())["d"]
    shown = command("key", "show", str(file), "--json")
    assert json.loads(public.read_text()) == json.loads(made) == json.loads(shown.stdout)["jwk"]
    assert secret not in made + shown.output
    assert "never overwritten" in command("key", "new", str(file), code=1).stderr
    assert (
        "already exists"
        in command("key", "new", str(world.root / "x"), "--public", str(public), code=1).stderr
    )
    assert json.loads(command("key", "new", str(world.root / "p"), "--kind", "p256").stdout)["crv"] == "P-256"


def test_common_options_may_stand_before_the_noun(world: World, product: Product) -> None:
    @asynccontextmanager
    async def offline(settings: Any) -> AsyncIterator[Any]:
        assert settings.data == world.data
        yield control_app(product)

    result = typed(offline, ["--data", str(world.data), "-q", "status"])
    assert (result.exit_code, result.stderr) == (0, "")


def test_help_names_every_noun_and_the_exit_codes(command: Command) -> None:
    told = command_help()
    for noun in ("registry", "agent", "capability", "server", "mandate", "approval", "ledger", "key"):
        assert f"\n  {noun} " in told
    assert "Exit codes: 0 done" in told


def command_help() -> str:
    return typed(lambda _: None, ["--help"]).stdout


def test_every_state_of_a_mandate_can_be_listed(applied: Command, world: World, product: Product) -> None:
    mandate = issued(applied, world)
    for _ in range(5):
        anyio.run(partial(asked, product, "case_read", "4711", mandate))
    for state, count in (("spent", 1), ("open", 0), ("not_yet", 0), ("expired", 0), ("closed", 0)):
        assert len(json.loads(applied("mandate", "list", "--state", state, "--json").stdout)) == count
    applied("mandate", "list", "--state", "opened", code=1)


def test_a_ledger_directory_that_is_none_is_told(command: Command, world: World) -> None:
    assert "there is no directory" in command("ledger", "verify", str(world.root / "nothing"), code=1).stderr
    (empty := world.root / "empty").mkdir()
    assert "INVALID" in command("ledger", "verify", str(empty), code=5).stdout
    assert json.loads(command("ledger", "verify", str(empty), "--json", code=5).stdout)["status"] == "invalid"
    command("ledger", "verify", str(empty), "--key", "nonsense", code=1)


def test_documents_as_json(applied: Command, world: World) -> None:
    assert json.loads(applied("apply", "-f", str(world.registry), "--json").stdout)["changes"] == []
    assert json.loads(applied("validate", "-f", str(world.registry), "--json").stdout)["faults"] == []
    source = edited(world, "callsMax: 5", "callsMax: 0")
    assert json.loads(applied("diff", "-f", source, "--json", code=1).stdout)["faults"]


def test_an_entry_is_shown_without_the_secrets_among_its_arguments_unless_asked_for(
    command: Command, product: Product
) -> None:
    action: JSONValue = {"target": "volume_delete", "arguments": {"volume": "pg", "token": "s3cret"}}
    entry = sealed_entry(
        Tag.REFUSAL,
        at=product.walk.clock.now(),
        members={},
        fields=[(b"request", encode(action))],
        sealing=sealing_for(product.walk.recorder, "principal:ada"),
    )
    index = str(anyio.run(product.walk.recorder.ledger.append, entry).index)
    for more in ((), ("--json",)):
        hidden = command("ledger", "show", index, *more).stdout
        assert "s3cret" not in hidden
        assert all(one in hidden for one in ("(hidden)", '"volume": "pg"'))
        assert '"token": "s3cret"' in command("ledger", "show", index, "--reveal", *more).stdout
    with told_of(product.walk.recorder) as told:
        assert "token=(hidden)" in texts(told(index))
