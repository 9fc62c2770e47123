"""sources.csv and roots.json: read back as written, refused in words."""

import csv
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


def test_columns_are_the_contract() -> None:
    assert ", ".join(COLUMNS) == (
        "source_id, corpus, path, kind, label, group, split, duration_s, sample_rate, channels, "
        "peak, loudness_lufs, sha256, licence, text, active, layout"
    )


def test_round_trip_is_sorted(tmp_path: Path) -> None:
    rows = [SourceRow.model_validate(ROW | {"source_id": name}) for name in ("c/b", "c/a")]
    write_sources(tmp_path / "s.csv", rows)
    assert read_sources([tmp_path / "s.csv"]) == rows[::-1]


def test_hash_is_of_the_rows_wherever_they_stand(tmp_path: Path) -> None:
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
def test_wrong_cells(tmp_path: Path, change: dict[str, str], words: str) -> None:
    path = _write(tmp_path / "s.csv", ROW | change)
    with pytest.raises(InputError, match=words):
        read_sources([path])


def test_the_line_is_that_of_the_file(tmp_path: Path) -> None:
    two_lines = ROW | {"text": 'two\nlines, "quoted"'}
    path = _write(tmp_path / "s.csv", two_lines, ROW | {"source_id": "c/b", "kind": "voice"})
    with pytest.raises(InputError, match="line 4 is not valid: kind"):
        read_sources([path])


def test_missing_column(tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key != "label"}
    path = _write(tmp_path / "s.csv", row, columns=tuple(row))
    with pytest.raises(InputError, match="the column 'label' is missing"):
        read_sources([path])


def test_a_list_from_before_activity_was_measured_is_read_and_keeps_its_hash(
    tmp_path: Path,
) -> None:
    old = {key: value for key, value in ROW.items() if key != "active"}
    rows = read_sources([_write(tmp_path / "s.csv", old, columns=tuple(old))])
    assert rows[0].active == ""
    # Made by the version before, from the same row.
    assert (
        sources_sha256(rows) == "e1e6734c0d300679aa4cae6c70a577c554704009546d1a29dfc624de4c8b1a6f"
    )
    assert sources_sha256([SourceRow.model_validate(ROW)]) != sources_sha256(rows)


@pytest.mark.parametrize("line", [",".join(["x"] * 20), "a,b"])
def test_rows_too_long_or_too_short(tmp_path: Path, line: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(",".join(COLUMNS) + f"\n{line}\n")
    with pytest.raises(InputError, match="line 2 is not valid"):
        read_sources([path])


def test_one_id_twice(tmp_path: Path) -> None:
    path = _write(tmp_path / "s.csv", ROW)
    with pytest.raises(InputError, match="'c/a' is listed twice: index each corpus once"):
        read_sources([path, path])


def test_roots_beside_and_given(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    write_roots(tmp_path, {"a": tmp_path / "old", "b": tmp_path})
    write_roots(tmp_path, {"c": tmp_path})
    roots = find_roots([tmp_path / "s.csv"], parse_roots([f"a={tmp_path}/new"]))
    assert roots == {"a": tmp_path / "new", "b": tmp_path, "c": tmp_path}


@pytest.mark.parametrize("word", ["a", "a=", "=x", ""])
def test_root_words(word: str) -> None:
    with pytest.raises(UsageError, match="--root takes CORPUS=FOLDER"):
        parse_roots([word])


def test_root_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="The root of a is not a folder"):
        find_roots([], {"a": tmp_path / "none"})


@pytest.mark.parametrize("note", ["[]", '{"a": 3}', "{"])
def test_broken_note_of_roots(tmp_path: Path, note: str) -> None:
    (tmp_path / "roots.json").write_text(note)
    with pytest.raises(InputError, match=r"roots\.json"):
        find_roots([tmp_path / "s.csv"])
    with pytest.raises(InputError, match=r"roots\.json"):
        write_roots(tmp_path, {"b": tmp_path})


def test_unknown_corpus(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'x' .* not known \(known: a\): add --root x=FOLDER"):
        locate({"a": tmp_path}, "x", "a.wav")


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", ROW)
    path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert [row.source_id for row in read_sources([path])] == ["c/a"]
