"""Files are whole or absent; JSON is strict."""

import errno
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixgen.core.errors import InputError, MachineError
from mixgen.core.files import (
    atomic_folder,
    atomic_path,
    canonical_json,
    machine_errors,
    parse_json,
    read_json,
    read_jsonl,
    read_text,
    sha256_file,
    write_csv,
    write_json,
    write_jsonl,
    write_text,
)


def test_success_replaces_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_path(path) as temporary:
        temporary.write_text(None)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole_or_stays(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    for name in ("one", "two"):
        with atomic_folder(folder) as temporary:
            (temporary / name).touch()
        assert [path.name for path in folder.iterdir()] == [name]
    with pytest.raises(TypeError), atomic_folder(folder) as temporary:
        (temporary / "three").write_text(None)  # type: ignore[arg-type]
    assert [path.name for path in folder.iterdir()] == ["two"]
    assert list(folder.parent.iterdir()) == [folder]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_new_files_have_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "atomic", "x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert modes[0] == modes[1]


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MachineError, match="a file is where a folder should be"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="No space left"), machine_errors(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(MachineError, match="a folder is where the file should be; move it away"):
        write_text(tmp_path / "a.txt", "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_what_rows_fail_at_is_no_error_of_writing(tmp_path: Path) -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise PermissionError(errno.EACCES, "Permission denied", "source.wav")

    with pytest.raises(PermissionError, match=r"source\.wav"):
        write_jsonl(tmp_path / "x.jsonl", rows())
    assert list(tmp_path.iterdir()) == []


def test_json_lines_come_back(tmp_path: Path) -> None:
    rows = [{"a": 1.5, "b": None}, {"a": "é\u2028"}]
    write_jsonl(tmp_path / "x.jsonl", rows)
    assert read_jsonl(tmp_path / "x.jsonl") == rows


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_nan_is_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "x.json", {"a": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": -Infinity}', "[1,", "", "1" * 5000])
def test_what_is_not_strict_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"x\.json is not valid JSON"):
        read_json(path)


def test_deep_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="not valid JSON"):
        read_json(path)


def test_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(InputError, match="line 2 is not valid JSON"):
        read_jsonl(path)


def test_unreadable_texts(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9\xe8")
    with pytest.raises(InputError, match="There is no file"):
        read_text(tmp_path / "none")
    with pytest.raises(InputError, match="not UTF-8"):
        read_text(tmp_path / "latin")
    with pytest.raises(InputError, match="Is a directory"):
        read_text(tmp_path)


def test_csv_and_hash(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", ["a", "b"], [{"a": 1, "b": "x,y"}])
    assert (tmp_path / "x.csv").read_text() == 'a,b\n1,"x,y"\n'
    write_text(tmp_path / "abc", "abc")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(tmp_path / "abc") == expected


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": [1, 2]}) == canonical_json({"a": [1, 2], "b": 1})


def test_half_a_character_is_no_json() -> None:
    """No UTF-8 file can hold it, so nothing that is made of it could be written."""
    assert parse_json('"\\ud83d\\ude00"', "here") == "\U0001f600"
    with pytest.raises(InputError, match="here is not valid JSON"):
        parse_json('["\\ud83d"]', "here")


def test_a_key_that_comes_twice_is_refused() -> None:
    assert parse_json('{"a": {"b": 1}, "b": 2}', "here") == {"a": {"b": 1}, "b": 2}
    with pytest.raises(InputError, match=r"here is not valid JSON \(the key 'b' comes twice\)"):
        parse_json('[{"a": {"b": 1, "c": 2, "b": 1}}]', "here")
