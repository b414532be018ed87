"""Kinds of targets are found by entry point, imported when a target file names them, and refused with a reason."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.leases import LEASE_TARGET
from answerable.targets import TargetContext
from answerable.wiring import target_kinds
from answerable.wiring.broker_secrets import built_targets
from answerable.wiring.settings import parse_settings
from answerable.wiring.target_files import checked_targets, read_targets
from answerable.wiring.target_kinds import installed_kinds, kind_named
from tests.worlds.plugin_files import plugin

BUILT_IN = {
    *("aws", "github_app", "http", "kubernetes", "mariadb", "model-provider"),
    *("nats", "openbao", "postgres", "rabbitmq", "redis", "ssh"),
}
NOTHING = """\
from dataclasses import dataclass
from answerable.targets import TargetKind, text

@dataclass(frozen=True, kw_only=True)
class Settings:
    place: str = text("here", "Where it is.")

KIND = TargetKind(api=1, name="odd", settings=Settings, build=None)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = {*sys.modules}
    yield folder
    for name in {*sys.modules} - before:
        if name.startswith("odd_"):
            del sys.modules[name]


def refusal(kind: str) -> str:
    with pytest.raises(Malformed) as refused:
        kind_named(kind)
    assert refused.value.code == "target.kind"
    return refused.value.message


@pytest.mark.requirement("TARGET-01")
def test_every_kind_of_ours_is_an_entry_point_of_our_distribution() -> None:
    ours = {
        kind
        for kind, found in installed_kinds().items()
        if [one.package for one in found] == ["answerable"] and kind_named(kind).name == kind
    }
    assert ours == BUILT_IN


@pytest.mark.requirement("TARGET-01")
def test_a_kind_of_others_is_found_by_its_entry_point(installed: Path, tmp_path: Path) -> None:
    plugin(installed, "odd-one", "odd", NOTHING)
    (tmp_path / "t").mkdir()
    (tmp_path / "t/mine.toml").write_text('kind = "odd"\nplace = "there"\n')
    (target,) = checked_targets(tmp_path / "t")
    assert (target.kind.name, target.settings.place) == ("odd", "there")


@pytest.mark.requirement("TARGET-02")
def test_what_is_installed_is_not_imported_until_a_target_file_names_it(
    installed: Path, tmp_path: Path
) -> None:
    plugin(installed, "odd-one", "odd", "raise SystemExit('imported')\n")
    (tmp_path / "t").mkdir()
    (tmp_path / "t/mine.toml").write_text('kind = "http"\nbase_url = "https://a.example"\n')
    assert [one.distribution for one in installed_kinds()["odd"]] == ["odd-one 2.5"]
    read_targets(tmp_path / "t")
    assert "odd_one" not in sys.modules


@pytest.mark.requirement("TARGET-03")
def test_of_two_distributions_that_claim_one_kind_none_is_imported(installed: Path) -> None:
    plugin(installed, "odd-one", "odd", NOTHING)
    plugin(installed, "odd-two", "odd", NOTHING)
    plugin(installed, "odd-redis", "redis", NOTHING)
    said = refusal("odd")
    assert "odd-one 2.5 and odd-two 2.5" in said or "odd-two 2.5 and odd-one 2.5" in said
    ours = refusal("redis")
    assert "answerable " in ours
    assert "odd-redis 2.5" in ours
    assert not [name for name in sys.modules if name.startswith("odd_")]


@pytest.mark.requirement("TARGET-04")
@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise RuntimeError('no luck')", "importing it failed: `RuntimeError: no luck`"),
        ("raise SystemExit('bye')", "importing it failed: `SystemExit: bye`"),
        ("import nowhere_at_all", "it needs `nowhere_at_all`"),
        ("nothing = 1", "importing it failed: "),
        ("KIND = 'odd'", "expected a TargetKind, got `str`"),
        (NOTHING.replace("api=1", "api=2"), "it is written for API `2`, this broker has 1"),
        (NOTHING.replace('name="odd"', 'name="other"'), "its kind calls itself `other`"),
        (NOTHING.replace("settings=Settings", "settings=str"), "its settings are no dataclass"),
        (NOTHING.replace('text("here", "Where it is.")', "''"), "its settings are no dataclass"),
        (NOTHING.replace("build=None", "build=None, acts_by_another=True"), "`acts_by` and `acts_with`"),
    ],
    ids=["fails", "ends", "misses", "has none", "type", "API", "name", "settings", "setting", "acting"],
)
def test_a_plug_in_that_cannot_be_used_is_refused_with_its_distribution_and_the_reason(
    installed: Path, tmp_path: Path, code: str, why: str
) -> None:
    plugin(installed, "odd-one", "odd", code)
    said = refusal("odd")
    assert "the plug-in `odd` of odd-one 2.5 cannot be used: " in said
    assert why in said
    (tmp_path / "t").mkdir()
    (tmp_path / "t/mine.toml").write_text('kind = "odd"\n')
    with pytest.raises(Malformed, match=r"mine\.toml.*odd-one 2\.5"):
        checked_targets(tmp_path / "t")


@pytest.mark.requirement("TARGET-09")
def test_an_import_that_does_not_end_is_refused_and_no_second_one_waits_behind_it(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(threading, "odd_released", released, raising=False)
    monkeypatch.setattr(target_kinds, "CALL_SECONDS_MAX", 0.2)
    plugin(installed, "odd-one", "odd", f"import threading\nthreading.odd_released.wait()\n{NOTHING}")
    try:
        assert refusal("odd").endswith("of odd-one 2.5 cannot be used: importing it took more than 0.2 s")
        threads = threading.active_count()
        assert refusal("odd").endswith("cannot be used: an earlier call of its code has not ended")
        assert threading.active_count() == threads
    finally:
        released.set()
        target_kinds._LEFT.pop(("odd-one 2.5", "odd")).result()
    assert kind_named("odd").name == "odd", "what has ended since is used"


FAULTY = "def faults(settings): {}\n"
SETTING = 'text("here", "Where it is.")'
AFTER_INIT = f"{SETTING}\n    def __post_init__(self): raise KeyError('odd')"


@pytest.mark.requirement("TARGET-10")
@pytest.mark.parametrize(
    ("code", "why"),
    [
        (FAULTY.format("raise RuntimeError('no luck')"), "checking settings failed: `RuntimeError: no luck`"),
        (FAULTY.format("raise SystemExit(0)"), "checking settings failed: `SystemExit: 0`"),
        (FAULTY.format("raise KeyboardInterrupt"), "checking settings failed: `KeyboardInterrupt: `"),
        (FAULTY.format("return None"), "checking settings failed: `TypeError: "),
        (FAULTY.format("return (1,)"), "expected texts from its `faults`, got `int`"),
        ("", "making its settings failed: `KeyError: 'odd'`"),
    ],
    ids=["fails", "ends", "interrupts", "nothing", "numbers", "settings"],
)
def test_what_a_plug_in_raises_on_settings_is_refused_with_file_distribution_and_reason(
    installed: Path, tmp_path: Path, code: str, why: str
) -> None:
    kind = NOTHING.replace("build=None", "build=None, faults=faults") if code else NOTHING
    kind = kind if code else kind.replace(SETTING, AFTER_INIT)
    plugin(installed, "odd-one", "odd", kind.replace("KIND =", f"{code}\nKIND ="))
    (tmp_path / "t").mkdir()
    (tmp_path / "t/mine.toml").write_text('kind = "odd"\n')
    (tmp_path / "t/well.toml").write_text('kind = "http"\nbase_url = "https://a.example"\nmode = "x"\n')
    found, faults = read_targets(tmp_path / "t")
    assert not [one for one in found if one.name == "mine"]
    assert [one for one in faults if one.startswith("well.toml")], "every fault is told, of every file"
    (said,) = [one for one in faults if one.startswith("mine.toml")]
    assert said.startswith("mine.toml:1: kind: the plug-in `odd` of odd-one 2.5 cannot be used: ")
    assert why in said


BUILDS = NOTHING.replace("build=None", "build=build")


@pytest.mark.requirement("TARGET-10")
@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("int(context.secret_of('file:x'))", "building a target failed: `ValueError` in line "),
        ("raise SystemExit(context.secret_of('file:x'))", "building a target failed: `SystemExit` in line "),
        ("return 'odd'", "expected a BuiltTarget, got `str`"),
        (
            "return BuiltTarget(issuer=None, target=None)",
            "building a target failed: `AttributeError` in line ",
        ),
        ("return BuiltTarget(issuer=None, target=Toolless())", "a tool without `name` or `inputSchema`"),
    ],
    ids=["fails", "ends", "type", "no target", "no tool"],
)
def test_a_plug_in_that_cannot_build_is_refused_with_file_and_distribution_and_no_secret_is_said(
    installed: Path, tmp_path: Path, code: str, why: str
) -> None:
    made = f"""from answerable.targets import BuiltTarget
class Toolless:
    def tools(self): return ({{"title": "odd"}},)
def build(settings, context): {code}
KIND ="""
    plugin(installed, "odd-one", "odd", BUILDS.replace("KIND =", made))
    targets = tmp_path / "targets"
    targets.mkdir()
    (targets / "mine.toml").write_text('kind = "odd"\n')
    settings, _ = parse_settings(b"", data=tmp_path)
    assert settings is not None
    context = TargetContext(
        clock=SystemClock(), entropy=SystemEntropy(), secret_of=lambda _: b"the secret value"
    )
    with pytest.raises(Malformed) as refused:
        kind_named("odd").build(None, context)
    assert refused.value.code == "target.kind"
    said = refused.value.message
    assert said.startswith("the plug-in `odd` of odd-one 2.5 cannot be used: ")
    assert why in said
    assert "secret value" not in said
    if "secret_of" not in code:
        with pytest.raises(
            Malformed, match=r"^targets: mine\.toml: the plug-in `odd` of odd-one 2\.5"
        ) as named:
            built_targets(settings, checked_targets(targets))
        assert named.value.code == "target.faults"


@pytest.mark.requirement("TARGET-05")
def test_a_kind_of_others_may_leave_acting_to_another_kind(installed: Path) -> None:
    code = """from answerable.targets import BuiltTarget
def build(settings, context):
    from answerable.testing.memory_target import MemoryTarget
    return BuiltTarget(issuer=MemoryTarget(clock=context.clock, entropy=context.entropy), target=context.acting)
KIND ="""
    kind = BUILDS.replace("KIND =", code).replace("build=build", "build=build, acts_by_another=True")
    acts = 'acts_by: str = text("redis", "Who acts.")\n    acts_with: str = text("", "Its settings.")'
    plugin(installed, "odd-one", "odd", kind.replace('place: str = text("here", "Where it is.")', acts))
    odd = kind_named("odd")
    context = TargetContext(clock=SystemClock(), entropy=SystemEntropy(), secret_of=bytes)
    built = odd.build(odd.settings(acts_with="account = 'a'"), context)
    assert [one["name"] for one in built.target.tools()] == ["read", "command", "publish"]
    (fault,) = odd.faults(odd.settings(acts_with="account = 1"))
    assert fault == "`acts_with`: `account`: expected text, got a number"
    (itself,) = odd.faults(odd.settings(acts_by="odd"))
    assert itself == "`acts_by` is the kind of target that acts with the credential"


def test_an_error_of_the_family_from_a_build_says_itself_what_is_wrong(installed: Path) -> None:
    code = "from answerable.targets import LEASE_TARGET\ndef build(settings, context): raise LEASE_TARGET('away')\n"
    plugin(installed, "odd-one", "odd", BUILDS.replace("KIND =", f"{code}KIND ="))
    with pytest.raises(Unavailable, match=r"^away$") as raised:
        kind_named("odd").build(
            None, TargetContext(clock=SystemClock(), entropy=SystemEntropy(), secret_of=bytes)
        )
    assert raised.value.code == LEASE_TARGET.id


@pytest.mark.requirement("TARGET-04")
def test_the_extra_that_a_kind_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    for name in [
        one
        for one in sys.modules
        if one.startswith(("answerable.adapters.aws", "answerable.adapters.aws_sts.kind"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    assert 'pip install "answerable[aws]"' in refusal("aws")


def test_an_unknown_kind_is_refused_with_those_that_there_are() -> None:
    assert refusal("paper").endswith(f"expected one of {', '.join(sorted(BUILT_IN))}")
