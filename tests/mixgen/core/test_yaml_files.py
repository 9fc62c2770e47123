"""YAML files: plain values, and one sentence for each broken file."""

from pathlib import Path

import pytest

from mixgen.core import yaml_files
from mixgen.core.errors import InputError
from mixgen.core.yaml_files import read_yaml


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "x.yaml"
    path.write_bytes(content)
    return path


def test_yaml_is_read_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert read_yaml(_file(tmp_path, b"\xef\xbb\xbfa:\r\n  b: 1\r\n")) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    "content",
    [b"a: [1", b"!!python/object/apply:os.getcwd []", b"a: 2020-99-99", b"a: \x07"],
)
def test_broken_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="is not valid YAML"):
        read_yaml(_file(tmp_path, content))


def test_of_a_deep_file_only_the_start_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser's time grows with the square of the depth; 40 kB of brackets took 35 s."""
    scanned = 0

    class Counting(yaml_files._Loader):
        def fetch_more_tokens(self) -> None:
            nonlocal scanned
            scanned += 1
            super().fetch_more_tokens()

    monkeypatch.setattr(yaml_files, "_Loader", Counting)
    with pytest.raises(InputError, match=r"x.yaml line 1 is nested more than 50 levels deep"):
        read_yaml(_file(tmp_path, b"[" * 40_000))
    assert scanned < 1200  # PyYAML looks 1024 characters ahead


def test_fifty_levels_are_read(tmp_path: Path) -> None:
    value = read_yaml(_file(tmp_path, b"[" * 50 + b"]" * 50))
    for _ in range(49):
        (value,) = value
    assert value == []
