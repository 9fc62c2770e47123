"""Paths stay inside their root, and names can be file names everywhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixgen.core.errors import InputError
from mixgen.core.paths import check_name, check_relative, inside, leads_out

HOSTILE_PATHS = [
    "",
    "/etc/passwd",
    "..",
    "a/../b",
    "../a",
    "a\\b",
    "C:\\a",
    "a\0b",
    "a\nb",
    "a\x7f",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_hostile_paths(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="relative path with forward slashes"):
        check_relative(path)
    with pytest.raises(InputError):
        inside(tmp_path, path)


@pytest.mark.parametrize("path", ["a.wav", "a/b c.wav", "Ünï/…", "..a/b..", "a/.hidden"])
def test_ordinary_paths(path: str, tmp_path: Path) -> None:
    assert check_relative(path) == path
    assert inside(tmp_path, path) == tmp_path / path


@given(st.text(st.sampled_from("a./\\\0"), max_size=12))
def test_what_passes_is_inside(path: str) -> None:
    root = Path("/some/root")
    try:
        full = inside(root, path)
    except InputError:
        return
    assert full.resolve().is_relative_to(root)


def test_link_out_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.wav").write_bytes(b"x")
    (root / "file.wav").symlink_to(tmp_path / "secret.wav")
    (root / "folder").symlink_to(tmp_path)
    for path in ("file.wav", "folder/secret.wav"):
        with pytest.raises(InputError, match="leads out of"):
            inside(root, path)


def test_link_within_the_root(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
    assert inside(tmp_path, "b.wav") == tmp_path / "b.wav"


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "a b", "é", "a\0", "a:b", "x" * 300])
def test_bad_names(name: str) -> None:
    with pytest.raises(InputError, match="is not allowed"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "test-000001", "s1", "A.b_c-d"])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


def test_links_are_followed_to_their_end(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "within").symlink_to(root / "a")
    (root / "a" / "out").symlink_to(tmp_path)
    (root / "a" / "back").symlink_to(tmp_path / "root")
    assert not leads_out(root, "a/sound.wav")
    assert not leads_out(root, "within/sound.wav")
    assert not leads_out(root, "a/back/a")
    assert leads_out(root, "a/out/sound.wav")
    assert leads_out(root, "within/out")
    (tmp_path / "link").symlink_to(root)
    assert not leads_out(tmp_path / "link", "a/sound.wav")
    assert not leads_out(tmp_path / "link", "within/sound.wav")
