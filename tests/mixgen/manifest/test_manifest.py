"""Manifests: written and read without loss, and refused with the line when something is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mixgen.core.errors import InputError
from mixgen.core.files import sha256_file
from mixgen.manifest.file import open_manifest, read_manifest, write_manifest
from mixgen.manifest.mixture import Mixture
from tests.mixgen.conftest import DrawTo, MakeRecipe


@pytest.fixture(scope="module")
def manifest_path(
    tmp_path_factory: pytest.TempPathFactory,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
) -> Path:
    """The manifest of the tiny speech set."""
    path = tmp_path_factory.mktemp("manifest") / "manifest.jsonl"
    draw_to(path, speech_recipe())
    return path


Change = Callable[[list[dict[str, Any]]], None]


@pytest.fixture
def refusal(manifest_path: Path, tmp_path: Path) -> Callable[[Change], str]:
    """Return the reason why a manifest is refused after a change to its parsed lines."""

    def read(change: Change) -> str:
        lines = [json.loads(line) for line in manifest_path.read_text().splitlines()]
        change(lines)
        path = tmp_path / "changed.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(InputError) as error:
            read_manifest(path)
        return str(error.value).removeprefix(str(path)).strip()

    return read


def test_round_trip(manifest_path: Path, tmp_path: Path) -> None:
    manifest = read_manifest(manifest_path)
    copy = tmp_path / "copy.jsonl"
    write_manifest(copy, manifest.header, manifest.mixtures)
    assert copy.read_bytes() == manifest_path.read_bytes()
    assert manifest.sha256 == sha256_file(manifest_path)


def test_read_one_at_a_time(manifest_path: Path, tmp_path: Path) -> None:
    manifest = open_manifest(manifest_path)
    whole = read_manifest(manifest_path)
    assert list(manifest) == list(manifest) == whole.mixtures
    assert (manifest.header, manifest.sha256) == (whole.header, whole.sha256)
    assert manifest.count() == len(whole.mixtures) == 7
    path = tmp_path / "longer.jsonl"
    path.write_text(manifest_path.read_text() + '{"id": \n')
    mixtures = iter(open_manifest(path))
    assert [next(mixtures) for _ in range(7)] == whole.mixtures
    with pytest.raises(InputError, match="line 9 is not valid JSON"):
        next(mixtures)


def test_the_hash_is_that_of_the_form_without_defaults(manifest_path: Path, tmp_path: Path) -> None:
    manifest = read_manifest(manifest_path)
    header, *records = (json.loads(line) for line in manifest_path.read_text().splitlines())
    for record in records:
        record |= {"room": None, "degradations": [], "clip": {"peak": 0.9}}
        for source in record["sources"]:
            source |= {"room": None, "echo": None, "references": []}
            for event in source["events"]:
                event |= {"pitch_shift": None, "time_stretch": None}
    path = tmp_path / "full.jsonl"
    text = "".join(f"{json.dumps(line)}\r\n" for line in (header, *records))
    path.write_bytes(text.encode())
    full = read_manifest(path)
    assert full.mixtures == manifest.mixtures
    assert full.sha256 == open_manifest(path).sha256 == manifest.sha256
    assert full.file.has_sha256(sha256_file(path))
    assert not full.file.has_sha256("0" * 64)


def test_a_change_of_any_value_changes_the_hash(manifest_path: Path, tmp_path: Path) -> None:
    manifest = read_manifest(manifest_path)
    for name, old, new in (("header", '"seed": 0', '"seed": 1'), ("record", ": -32.0", ": -32.1")):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(manifest_path.read_text().replace(old, new, 1))
        assert read_manifest(path).sha256 != manifest.sha256


def test_manifests_of_the_first_schema_are_read_as_they_were_meant() -> None:
    old = Path(__file__).parents[2] / "golden" / "manifest-1.jsonl"
    manifest = read_manifest(old)
    assert manifest.header.schema_ == "manifest/1"
    degraded, stem = manifest.mixtures
    assert [degradation.name for degradation in degraded.degradations] == ["quantise"]
    assert degraded.file_names == ["mixture", "undegraded", "s1", "noise"]
    assert stem.sources[0].gain.shared
    assert stem.file_names == ["mixture", "bass"]


def test_an_old_manifest_and_the_same_one_rewritten_have_one_hash(tmp_path: Path) -> None:
    old = Path(__file__).parents[2] / "golden" / "manifest-1.jsonl"
    manifest = read_manifest(old)
    write_manifest(tmp_path / "new.jsonl", manifest.header, manifest.mixtures)
    new = read_manifest(tmp_path / "new.jsonl")
    assert new.header.schema_ == "manifest/2"
    assert new.mixtures == manifest.mixtures
    assert new.sha256 == manifest.sha256 == sha256_file(tmp_path / "new.jsonl")
    assert manifest.file.has_sha256(sha256_file(old))


def test_contract(manifest_path: Path) -> None:
    header, first = (json.loads(line) for line in manifest_path.read_text().splitlines()[:2])
    assert header["schema"] == "manifest/2"
    assert {"name", "task", "recipe_sha256", "sources_sha256", "seed"} <= header.keys()
    assert {"mixgen", "scaper", "numpy", "scipy", "soxr", "soundfile"} <= header[
        "created_by"
    ].keys()
    assert {"id", "split", "sample_rate", "channels", "frames", "seed", "sources"} <= first.keys()
    assert {"level", "targets"} <= first.keys()
    source = first["sources"][0]
    assert {"name", "role", "label", "kind", "events", "gain"} <= source.keys()
    event = source["events"][0]
    assert {"corpus", "path", "sha256", "source_time", "event_time", "event_duration"} <= set(event)
    assert "snr" in event


def test_what_equals_its_default_is_not_written(manifest_path: Path) -> None:
    lines = manifest_path.read_text()
    assert "null" not in lines
    assert "[]" not in lines
    for key in ("room", "degradations", "clip", "references", "echo", "enrolment", "pitch_shift"):
        assert f'"{key}"' not in lines


def test_order_ids_and_targets(manifest_path: Path) -> None:
    manifest = read_manifest(manifest_path)
    assert [mixture.id for mixture in manifest.of_split("test")] == ["test-000000", "test-000001"]
    assert manifest.of_split(None) == manifest.mixtures
    first = manifest.by_id["train-000000"]
    assert first.targets == ["s1", "s2"]
    assert first.file_names == ["mixture", "s1", "s2", "noise"]
    assert first.duration_s == 0.8


def test_unknown_split(manifest_path: Path) -> None:
    with pytest.raises(InputError, match="no split 'dev': choose one of train, test"):
        read_manifest(manifest_path).of_split("dev")


def test_a_line_separator_in_a_path_is_no_new_line(manifest_path: Path, tmp_path: Path) -> None:
    manifest = read_manifest(manifest_path)
    data = manifest.mixtures[0].as_dict()
    data["sources"][0]["events"][0]["path"] = "odd\u2028name\u0085.wav"
    path = tmp_path / "odd.jsonl"
    write_manifest(path, manifest.header, [Mixture.model_validate(data)])
    assert read_manifest(path).mixtures[0].as_dict() == data


def _set(place: str, value: Any) -> Change:
    """Return the change that puts `value` at a place such as `1.sources.0.name`."""

    def change(lines: list[Any]) -> None:
        *keys, last = (int(part) if part.isdigit() else part for part in place.split("."))
        target: Any = lines
        for key in keys:
            target = target[key]
        target[last] = value

    return change


PATH = "1.sources.0.events.0.path"


@pytest.mark.parametrize("path", ["../x.wav", "/etc/passwd", "a\\b", "a\0b", ""])
def test_hostile_paths(refusal: Callable[[Change], str], path: str) -> None:
    message = refusal(_set(PATH, path))
    assert message.startswith("line 2 is not valid: sources.0.events.0.path: The path")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("0.schema", "manifest/3", "has schema 'manifest/3'; this version reads 'manifest/2'"),
        ("0.format", "mp3", "line 1 is not valid: format"),
        ("0.extra", 1, "line 1 is not valid: extra"),
        ("1.id", "../../x", "line 2 is not valid: id: The name '../../x' is not allowed"),
        ("1.id", "x" * 5000, "is not allowed: use 1 to 200 letters"),
        ("1.id", 7, "line 2 is not valid: id: Input should be a valid string"),
        ("2.id", "TRAIN-000000", "holds the mixture id 'TRAIN-000000' twice"),
        ("1.frames", 0, "frames: Input should be greater than or equal to 1"),
        ("1.frames", 10**30, "frames: Input should be less than or equal to"),
        ("1.sample_rate", 1, "sample_rate: Input should be greater than or equal to 8000"),
        ("1.clip", {"peak": 1.5}, "clip.peak: Input should be less than 1"),
        (
            "1.sources.1.name",
            "S1",
            "mixture train-000000 has two sources or references of one name",
        ),
        ("1.sources.0.name", "mixture", "a source cannot be called 'mixture'"),
        ("1.sources.0.name", "Mixture", "a source cannot be called 'Mixture'"),
        ("1.sources.0.events.0.event_duration", 0, "event_duration: Input should be greater"),
        ("1.sources.2.events.0.event_duration", 1e9, "event_duration"),
        ("1.sources.0.events.0.event_time", -1, "event_time: Input should be greater"),
        ("1.targets", ["s3"], "mixture train-000000 has no source 's3'"),
        ("1.degradations", [{"reverb": 1}], "degradations"),
        ("1.targets", ["s1", "s1"], "mixture train-000000 names a target twice"),
        ("1.fade_s", 1e300, "fade_s: Input should be less than or equal to 1"),
        ("1.frames", True, "frames: Input should be a valid integer"),
        ("1.frames", "6400", "frames: Input should be a valid integer"),
        ("1.level", {"reference_db": True}, "level.reference_db: Input should be a valid number"),
        ("1.sources.0.events.0.snr", "6", "snr: Input should be a valid number"),
        (
            "1.sources.0.events.0.event_time",
            0.8,
            "an event of 's1' of mixture train-000000 begins after the end of the mixture at 0.8 s",
        ),
        ("1.sources.0.label", "\ud83d", "line 2 is not valid JSON"),
        ("1.effects", [], "effects: Extra inputs are not permitted"),
    ],
)
def test_wrong_values(refusal: Callable[[Change], str], place: str, value: Any, words: str) -> None:
    assert words in refusal(_set(place, value))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: it should begin with a header line"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"{}\n", "line 1 is not valid: name: Field required"),
        (b"[]\n", "line 1 is not valid"),
        (b'{"schema": "manifest/1"\n', "line 1 is not valid JSON"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_manifest(path)


def test_a_key_that_comes_twice(manifest_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    path.write_text(manifest_path.read_text().replace('"snr": ', '"snr": 3.0, "snr": ', 1))
    with pytest.raises(InputError, match=r"line 2 is not valid JSON \(the key 'snr' comes twice\)"):
        read_manifest(path)


@pytest.fixture(scope="module")
def counted(manifest_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same manifest with the number of its mixtures in the header, as `draw` writes it."""
    manifest = read_manifest(manifest_path)
    path = tmp_path_factory.mktemp("counted") / "manifest.jsonl"
    header = manifest.header.model_copy(update={"mixtures": len(manifest.mixtures)})
    write_manifest(path, header, manifest.mixtures)
    return path


@pytest.mark.parametrize("kept", [0, 1, 6])
def test_a_manifest_that_is_cut_at_the_end_of_a_line(
    counted: Path, tmp_path: Path, kept: int
) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_text("".join(counted.read_text().splitlines(keepends=True)[: kept + 1]))
    words = rf"cut.jsonl holds {kept} mixtures, and 7 by its header: restore it"
    with pytest.raises(InputError, match=words):
        read_manifest(path)
    with pytest.raises(InputError, match=words):
        open_manifest(path).count()
    with pytest.raises(InputError, match=words):
        _ = open_manifest(path).sha256


def test_a_manifest_with_a_count_and_one_without(counted: Path, manifest_path: Path) -> None:
    assert read_manifest(counted).mixtures == read_manifest(manifest_path).mixtures
    assert open_manifest(counted).count() == open_manifest(counted).header.mixtures == 7
    assert open_manifest(counted).sha256 == sha256_file(counted)
    assert open_manifest(manifest_path).header.mixtures is None
    assert '"mixtures"' not in manifest_path.read_text()


def test_nan_is_no_number(manifest_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "nan.jsonl"
    path.write_text(
        manifest_path.read_text().replace('"reference_db": -32.0', '"reference_db": NaN')
    )
    with pytest.raises(InputError, match="line 2 is not valid JSON"):
        read_manifest(path)
