"""What `./dev` stands on: whose index settings win, which uv fits this machine, which links are broken."""

from __future__ import annotations

import os
import platform
import sysconfig

import pytest

import doc_links
import find_uv
import index_settings

INDEX = "https://index.example/simple"
OTHER = "https://other.example/simple"


@pytest.fixture
def home(tmp_path):
    """A home and shared settings of our own; only the machine's /etc/pip.conf is still read."""
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "own"),
        "XDG_CONFIG_DIRS": str(tmp_path / "all"),
    }


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_users_pip_file_wins_over_the_systems_and_the_environment_over_both(home, tmp_path):
    write(tmp_path / "all/pip/pip.conf", f"[global]\nindex-url = {OTHER}\nextra-index-url = {OTHER}\n")
    write(tmp_path / "own/pip/pip.conf", f"[global]\nindex_url = {INDEX}\n")
    assert index_settings.for_uv(home)["UV_DEFAULT_INDEX"] == INDEX
    assert index_settings.for_uv(home)["UV_INDEX"] == OTHER
    changed = home | {"PIP_INDEX_URL": OTHER}
    assert index_settings.for_uv(changed)["UV_DEFAULT_INDEX"] == OTHER


def test_without_files_pip_says_nothing(home, tmp_path):
    write(tmp_path / "own/pip/pip.conf", f"[global]\nindex-url = {INDEX}\n")
    assert index_settings.for_uv(home | {"PIP_CONFIG_FILE": os.devnull}) == {}


def test_a_broken_pip_file_is_passed_over(home, tmp_path, capsys):
    write(tmp_path / "own/pip/pip.conf", "index-url without a section\n")
    index_settings.for_uv(home)
    assert "passing over" in capsys.readouterr().err


@pytest.mark.parametrize("name", index_settings.UV_INDEX_NAMES)
def test_what_the_user_told_uv_itself_is_left_alone(home, name):
    assert "UV_DEFAULT_INDEX" not in index_settings.for_uv(home | {"PIP_INDEX_URL": OTHER, name: INDEX})


def test_an_index_in_uvs_own_file_is_left_alone(home, tmp_path):
    write(tmp_path / "own/uv/uv.toml", f'[[index]]\nurl = "{INDEX}"\ndefault = true\n')
    assert "UV_DEFAULT_INDEX" not in index_settings.for_uv(home | {"PIP_INDEX_URL": OTHER})


def test_the_wheel_for_this_machine_is_chosen():
    machine = sysconfig.get_platform().rpartition("-")[2]
    libc = "manylinux_2_17" if platform.libc_ver()[0] == "glibc" else "musllinux_1_1"
    system = libc if sysconfig.get_platform().startswith("linux") else "macosx_11_0"
    names = [f"uv-9.0-py3-none-{system}_{machine}.whl", f"uv-0.13.9-py3-none-{system}_{machine}.whl"]
    names += ["uv-0.13.9-py3-none-win_amd64.whl", "uv-0.13.9.tar.gz"]
    page = "".join(f'<a data-x="&gt;" href="../../files/{name}#sha256=00">{name}</a>\n' for name in names)
    address = find_uv._wheel_address("https://index.example/simple/uv/", page, "0.13.9")
    assert address == f"https://index.example/files/{names[1]}"
    with pytest.raises(ValueError, match="no wheel"):
        find_uv._wheel_address("https://index.example/simple/uv/", page, "0.1")


def test_broken_links_headings_and_paths_are_found(tmp_path):
    write(tmp_path / "docs/other.md", "# One thing\n\n## The `walk`, step 1\n\n# One thing\n")
    write(tmp_path / "src/answerable/errors.py", "")
    write(
        tmp_path / "docs/page.md",
        "[a](other.md#the-walk-step-1) [b](other.md#one-thing-1) [c](https://example.org/x)\n"
        "`src/answerable/errors.py`\n"
        "```\n[d](nowhere.md)\n```\n"
        "[e](nowhere.md) [f](other.md#nothing) [`g`](#here) [h](../../outside.md) `docs/gone.md`\n",
    )
    (tmp_path.parent / "outside.md").write_text("")
    assert doc_links.faults_of(tmp_path / "docs/page.md", tmp_path) == [
        "docs/page.md: `nowhere.md` does not exist",
        "docs/page.md: `other.md#nothing`: no such heading",
        "docs/page.md: `#here`: no such heading",
        "docs/page.md: `../../outside.md` lies outside the project",
        "docs/page.md: `docs/gone.md` does not exist",
    ]
