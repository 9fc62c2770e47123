"""YAML files: plain values, and one sentence for each broken file."""

from pathlib import Path

import pytest

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
    [b"a: [1", b"[" * 1000, b"!!python/object/apply:os.getcwd []", b"a: 2020-99-99", b"a: \x07"],
)
def test_broken_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="is not valid YAML"):
        read_yaml(_file(tmp_path, content))
