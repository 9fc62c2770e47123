"""Tables of corpora: what is read, and the errors for broken files."""

from pathlib import Path

import pytest

from mixgen.core.errors import InputError
from mixgen.corpora.tables import look_up, nearest, read_table


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "table"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", b"\xef\xbb\xbfa,b\r\n1,2\r\n", b'"a","b","c"\n\n"1","2","3"']
)
def test_the_needed_columns_are_read(tmp_path: Path, content: bytes) -> None:
    rows = [
        {key: row[key] for key in ("a", "b")}
        for row in read_table(_file(tmp_path, content), ("a", "b"))
    ]
    assert rows == [{"a": "1", "b": "2"}]


def test_quoted_fields_hold_delimiters_and_line_ends(tmp_path: Path) -> None:
    (row,) = read_table(_file(tmp_path, b'a,b\n"1,1\n1",2\n'), ("a", "b"))
    assert row == {"a": "1,1\n1", "b": "2"}


def test_an_unquoted_table_without_header_is_read(tmp_path: Path) -> None:
    path = _file(tmp_path, b'x|"y\nz|w\n')
    rows = read_table(path, ("a", "b"), delimiter="|", quoted=False, header=False)
    assert list(rows) == [{"a": "x", "b": '"y'}, {"a": "z", "b": "w"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no column 'a'"),
        (b"a,c\n1,2\n", "has no column 'b'"),
        (b"a,b\n1,2\n3", "line 3 ends early"),
        (b'a,b\n1,"2\n', "line 2 is not a table row"),
        (b"a,b\n1," + b"2" * 200_000, "line 2 is not a table row"),
        (b"a,b\n1,\xff\n", "is not UTF-8 text"),
    ],
)
def test_broken_tables_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(read_table(_file(tmp_path, content), ("a", "b")))


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        list(read_table(tmp_path / "none", ("a",)))


def test_look_up_returns_a_nested_value_even_if_false() -> None:
    assert look_up({"a": {"b": False}}, Path("x.yaml"), "a", "b") is False


@pytest.mark.parametrize("data", [None, [], "text", {"a": 1}, {"a": {}}, {"a": {"b": None}}])
def test_look_up_refuses_missing_values(data: object) -> None:
    with pytest.raises(InputError, match=r"x\.yaml has no value a\.b: restore the original file"):
        look_up(data, Path("x.yaml"), "a", "b")


def test_nearest_goes_up_to_the_root_and_no_further(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (tmp_path / "t.csv").touch()
    assert nearest(root, Path("a/b/1.wav"), "t.csv") is None
    (root / "t.csv").touch()
    assert nearest(root, Path("a/b/1.wav"), "t.csv") == root / "t.csv"
    (root / "a" / "t.csv").touch()
    assert nearest(root, Path("a/b/1.wav"), "t.csv") == root / "a" / "t.csv"
