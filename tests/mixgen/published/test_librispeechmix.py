"""LibriSpeechMix: every mixture against the slow reference, and what its lists may hold."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError
from mixgen.manifest.file import read_manifest
from mixgen.published.librispeechmix import import_librispeechmix
from mixgen.published.render import render_in_layout
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen
from tests.mixgen.published.conftest import StandIn
from tests.oracles.compare import differing_samples
from tests.oracles.corpora import LibriSpeechMixSources, librispeechmix_sources
from tests.oracles.librispeechmix import librispeechmix as librispeechmix_oracle


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> LibriSpeechMixSources:
    return librispeechmix_sources(tmp_path_factory.mktemp("librispeechmix"), real_data)


def test_every_sample_is_that_of_the_reference(
    given: LibriSpeechMixSources, tmp_path: Path
) -> None:
    librispeechmix_oracle(given.list_file, given.librispeech, tmp_path / "expected")
    import_librispeechmix([given.list_file], given.librispeech, tmp_path / "M.jsonl")
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "librispeechmix")
    differing = differing_samples(tmp_path / "expected", tmp_path / "out")
    stems = {path for path in differing if "/s1/" in path or "/s2/" in path}
    assert len(stems) == 6
    assert {path: differing[path] for path in differing.keys() - stems} == {
        f"dev-clean-2mix/dev-clean-2mix-000{number}.wav": 0 for number in range(3)
    }
    assert verify_set(tmp_path / "out", deep=True) == []


def test_talkers_are_files_that_sum_to_the_mixture(
    given: LibriSpeechMixSources, tmp_path: Path
) -> None:
    """The sum of the second mixture clips."""
    import_librispeechmix([given.list_file], given.librispeech, tmp_path / "M.jsonl")
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "librispeechmix")
    folder = tmp_path / "out/dev-clean-2mix"
    for number in range(3):
        name = f"dev-clean-2mix-000{number}.wav"
        mixture, *stems = (
            soundfile.read(path, dtype="int16")[0].astype(int)
            for path in (folder / name, folder / "s1" / name, folder / "s2" / name)
        )
        total = np.sum(stems, axis=0)
        np.testing.assert_array_equal(mixture, np.clip(total, -32768, 32767))
        assert (total.max() > 32767) == (number == 1)


def test_records_have_delays_talkers_and_texts(
    given: LibriSpeechMixSources, tmp_path: Path
) -> None:
    import_librispeechmix([given.list_file], given.librispeech, tmp_path / "M.jsonl")
    manifest = read_manifest(tmp_path / "M.jsonl")
    mixture = manifest.mixtures[0]
    assert (mixture.id, mixture.split) == ("dev-clean-2mix-0000", "valid")
    second = mixture.sources[1]
    (event,) = second.events
    assert (second.label, second.name) == ("6295", "s2")
    assert event.event_time == int(4.469242864375414 * 16000) / 16000
    assert event.text.startswith("THAT ENCHANTMENT HAD POSSESSED HIM")
    assert event.path == "dev-clean/6295/64301/6295-64301-0026.flac"
    assert manifest.header.imported is not None
    assert manifest.header.imported.script == "NaoyukiKanda/LibriSpeechMix@869aa26"


def test_decoded_files_are_taken_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "dev-clean").mkdir()
    soundfile.write(tmp_path / "dev-clean/a.wav", np.ones(5, np.int16), 16000)
    line = {"mixed_wav": "dev-clean-1mix/x.wav", "wavs": ["dev-clean/a.wav"], "delays": [0.0]}
    line |= {"speakers": ["1"], "texts": ["A"], "genders": ["f"]}
    (tmp_path / "dev-clean-1mix.jsonl").write_text(json.dumps(line) + "\n")
    imported = import_librispeechmix(
        [tmp_path / "dev-clean-1mix.jsonl"], tmp_path, tmp_path / "M.jsonl"
    )
    assert imported.mixtures == 1
    assert read_manifest(tmp_path / "M.jsonl").mixtures[0].frames == 5


def test_all_mixtures_of_the_public_list_are_read(real_data: Path, tmp_path: Path) -> None:
    public = real_data / "metadata/librispeechmix/dev-clean-2mix.first500.jsonl"
    with pytest.raises(InputError, match=r"No mixture of .* has all its files"):
        import_librispeechmix([public], tmp_path, tmp_path / "M.jsonl", allow_missing=True)
    sentence = r"line 1: dev-clean/1272/.*\.flac is not in .*: check --librispeech \(and 499 more"
    with pytest.raises(InputError, match=sentence):
        import_librispeechmix([public], tmp_path, tmp_path / "M.jsonl")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"delays": [0.0, 1.0]}, "does not have a delay, a speaker and a text for each"),
        ({"delays": [-1.0]}, "delays.0: .* greater than or equal to 0"),
        ({"wavs": ["../a.wav"]}, "is not allowed"),
        ({"mixed_wav": None}, "mixed_wav"),
    ],
)
def test_a_wrong_line_gives_one_sentence(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    line: dict[str, object] = {"mixed_wav": "m/x.wav", "wavs": ["a.wav"], "delays": [0.0]}
    line |= {"speakers": ["1"], "texts": ["A"]}
    (tmp_path / "list.jsonl").write_text(json.dumps(line | change) + "\n")
    with pytest.raises(InputError, match=f"line 1.*{sentence}"):
        import_librispeechmix([tmp_path / "list.jsonl"], tmp_path, tmp_path / "M.jsonl")
    (tmp_path / "list.jsonl").write_text("")
    with pytest.raises(InputError, match="has no mixtures"):
        import_librispeechmix([tmp_path / "list.jsonl"], tmp_path, tmp_path / "M.jsonl")


def test_the_lists_that_ship(librispeechmix: StandIn, tmp_path: Path, mixgen: RunMixgen) -> None:
    root = librispeechmix.roots["librispeech"]
    words: list[object] = ["import", "librispeechmix", "--librispeech", root]
    for path in librispeechmix.lists:
        words += ["--metadata", path]
        librispeechmix_oracle(path, root, tmp_path / "expected")
    assert "3 mixtures in" in mixgen(*words, "--out", tmp_path / "M.jsonl").out
    words = ["render", tmp_path / "M.jsonl", "--out", tmp_path / "out"]
    assert mixgen(*words, "--layout", "librispeechmix").exit_code == 0
    differing = differing_samples(tmp_path / "expected", tmp_path / "out")
    mixtures = [path for path in differing if path.count("/") == 1]
    assert len(mixtures) == 3
    assert not any(differing[path] for path in mixtures)
    assert mixgen("verify", tmp_path / "out", "--deep").exit_code == 0
