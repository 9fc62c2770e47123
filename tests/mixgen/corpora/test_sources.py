"""sources.csv and roots.json: read back as written, refused with a reason."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from mixgen.core.errors import InputError, UsageError
from mixgen.corpora.roots import find_roots, locate, parse_roots, write_roots
from mixgen.corpora.sources import COLUMNS, SourceRow, read_sources, sources_sha256, write_sources

ROW = {
    "source_id": "c/a",
    "corpus": "c",
    "path": "a.wav",
    "kind": "speech",
    "label": "anna",
    "group": "g",
    "split": "test",
    "duration_s": "1.5",
    "sample_rate": "16000",
    "channels": "1",
    "peak": "0.5",
    "loudness_lufs": "-23.5",
    "sha256": "0" * 64,
    "licence": "CC0",
    "text": "some words",
    "active": "0.0-0.4 0.8-1.5",
}


def _write(path: Path, *rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_columns_are_those_of_the_file_format() -> None:
    assert ", ".join(COLUMNS) == (
        "source_id, corpus, path, kind, label, group, split, duration_s, sample_rate, channels, "
        "peak, loudness_lufs, sha256, licence, text, active, layout, frames"
    )


def test_rows_are_written_sorted_by_id(tmp_path: Path) -> None:
    rows = [SourceRow.model_validate(ROW | {"source_id": name}) for name in ("c/b", "c/a")]
    write_sources(tmp_path / "s.csv", rows)
    assert read_sources([tmp_path / "s.csv"]) == rows[::-1]


def test_the_hash_does_not_depend_on_the_files_of_the_rows(tmp_path: Path) -> None:
    first, second = ROW, ROW | {"source_id": "c/b"}
    both = read_sources([_write(tmp_path / "both.csv", second, first)])
    parts = [_write(tmp_path / "1.csv", second), _write(tmp_path / "2.csv", first)]
    assert sources_sha256(read_sources(parts)) == sources_sha256(both)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": "../a.wav"}, "line 2 is not valid: path: The path '../a.wav' is not allowed"),
        ({"path": "/a.wav"}, "line 2 is not valid: path"),
        ({"path": "a\\b.wav"}, "line 2 is not valid: path"),
        ({"path": "a\0.wav"}, "line 2 is not valid: path"),
        ({"kind": "voice"}, "line 2 is not valid: kind"),
        ({"duration_s": "0"}, "line 2 is not valid: duration_s"),
        ({"duration_s": "nan"}, "line 2 is not valid: duration_s"),
        ({"sample_rate": "many"}, "line 2 is not valid: sample_rate"),
        (
            {"active": "all"},
            "line 2 is not valid: active: The spans with sound are written in order",
        ),
        ({"text": "x" * 200_000}, "is not valid CSV"),
    ],
)
def test_wrong_cells_are_refused_with_line_and_column(
    tmp_path: Path, change: dict[str, str], words: str
) -> None:
    path = _write(tmp_path / "s.csv", ROW | change)
    with pytest.raises(InputError, match=words):
        read_sources([path])


def test_the_reported_line_counts_line_ends_within_cells(tmp_path: Path) -> None:
    two_lines = ROW | {"text": 'two\nlines, "quoted"'}
    path = _write(tmp_path / "s.csv", two_lines, ROW | {"source_id": "c/b", "kind": "voice"})
    with pytest.raises(InputError, match="line 4 is not valid: kind"):
        read_sources([path])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key != "label"}
    path = _write(tmp_path / "s.csv", row, columns=tuple(row))
    with pytest.raises(InputError, match="the column 'label' is missing"):
        read_sources([path])


def test_a_list_without_the_later_columns_is_read_and_keeps_its_hash(
    tmp_path: Path,
) -> None:
    old = {key: value for key, value in ROW.items() if key != "active"}
    rows = read_sources([_write(tmp_path / "s.csv", old, columns=tuple(old))])
    assert rows[0].active == ""
    # Computed from the same row by the version without the column.
    assert (
        sources_sha256(rows) == "e1e6734c0d300679aa4cae6c70a577c554704009546d1a29dfc624de4c8b1a6f"
    )
    assert sources_sha256([SourceRow.model_validate(ROW)]) != sources_sha256(rows)


@pytest.mark.parametrize("line", [",".join(["x"] * 20), "a,b"])
def test_rows_that_are_too_long_or_too_short_are_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(",".join(COLUMNS) + f"\n{line}\n")
    with pytest.raises(InputError, match=r"line 2 (is not valid|has more cells)"):
        read_sources([path])


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "s.csv", ROW)
    with pytest.raises(InputError, match="'c/a' is listed twice: index each corpus once"):
        read_sources([path, path])


def test_given_roots_replace_those_noted_beside_the_sources(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    write_roots(tmp_path, {"a": tmp_path / "old", "b": tmp_path})
    write_roots(tmp_path, {"c": tmp_path})
    roots = find_roots([tmp_path / "s.csv"], parse_roots([f"a={tmp_path}/new"]))
    assert roots == {"a": tmp_path / "new", "b": tmp_path, "c": tmp_path}


@pytest.mark.parametrize("word", ["a", "a=", "=x", ""])
def test_roots_of_another_form_are_refused(word: str) -> None:
    with pytest.raises(UsageError, match="--root takes CORPUS=FOLDER"):
        parse_roots([word])


def test_a_root_that_is_not_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The root .*none of a is not a folder: give another"):
        find_roots([], {"a": tmp_path / "none"})


@pytest.mark.parametrize("note", ["[]", '{"a": 3}', "{"])
def test_a_broken_roots_json_is_refused(tmp_path: Path, note: str) -> None:
    (tmp_path / "roots.json").write_text(note)
    with pytest.raises(InputError, match=r"roots\.json"):
        find_roots([tmp_path / "s.csv"])
    with pytest.raises(InputError, match=r"roots\.json"):
        write_roots(tmp_path, {"b": tmp_path})


def test_an_unknown_corpus_is_refused_with_the_option_to_add(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'x' is unknown \(known: a\): add --root x=FOLDER"):
        locate({"a": tmp_path}, "x", "a.wav")


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", ROW)
    path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert [row.source_id for row in read_sources([path])] == ["c/a"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [lines[0] + ",label", lines[1] + ",x"], "names a column twice"),
        (lambda lines: [lines[0], lines[1] + ",x,y"], "line 2 has more cells than the first line"),
        (lambda lines: [lines[0], lines[1].replace(",1.5,", ",1e308,")], "line 2 .*duration_s"),
        (lambda lines: [lines[0], lines[1].replace(",1.5,", ",inf,")], "line 2 .*duration_s"),
        (lambda lines: [lines[0], lines[1].replace(",8000,", f",{'9' * 30},")], "sample_rate"),
    ],
)
def test_tables_that_were_misread(
    tmp_path: Path, change: Callable[[list[str]], list[str]], words: str
) -> None:
    head = ",".join(COLUMNS)
    row = f"c/a,c,a.wav,speech,l,g,train,1.5,8000,1,0.5,-20,{'0' * 64},,,,"
    path = tmp_path / "sources.csv"
    path.write_text(f"{head}\n{row}\n")
    assert len(read_sources([path])) == 1
    path.write_text("\n".join(change([head, row])) + "\n")
    with pytest.raises(InputError, match=words):
        read_sources([path])
