"""What separators get beside the mixture: from sets, from recordings, in training."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

import baselines
from baselines.inference.long import separate_long
from baselines.inference.recording import separate_file
from baselines.inference.separate import separate_set
from baselines.inputs import check_inputs, inputs_of, load_inputs, looped, side_by_side, unpadded
from baselines.separator import Hyperparameters, Separator
from baselines.training.config import training_config
from baselines.training.data import RecordExamples, RenderedExamples, make_batch
from baselines.training.feed import _examples_of
from baselines.training.mixing import DynamicMixing
from baselines.training.validation import from_files, from_sources, load_validation
from mixgen.batch import collate
from mixgen.core.errors import InputError, UsageError
from mixgen.dataset import ManifestDataset, RenderedDataset
from mixgen.manifest.file import read_manifest
from mixgen.sets.rendered import RenderedSet
from tests.baselines.conftest import TinySet

MODULE = """
import torch

def cancel(mixture, sample_rate, far_end):
    return [mixture - far_end]

def first_samples(mixture, sample_rate, *, enrolment):
    return [mixture * 0 + one[:, :1] for one in enrolment]

class Cancel(torch.nn.Module):
    def forward(self, mixture, far_end):
        return (mixture - far_end)[:, None]
"""
SCRIPT = """
import sys
import soundfile
mixture, beside, out = sys.argv[1:]
samples, rate = soundfile.read(mixture)
other, _ = soundfile.read(beside)
soundfile.write(f"{out}/any.wav", samples * 0 + other[100], rate, subtype="FLOAT")
"""


class Canceller(Separator):
    inputs = ("far_end",)

    def forward(self, mixture: Tensor, far_end: Tensor) -> Tensor:  # type: ignore[override]
        return (mixture - far_end)[:, None]


class Extractor(Separator):
    """Returns the squares of the enrolments' peaks as constant signals."""

    inputs = ("enrolment",)

    def forward(self, mixture: Tensor, enrolment: Tensor) -> Tensor:  # type: ignore[override]
        power = enrolment.square().amax(-1, keepdim=True)
        return power + 0 * mixture[:, None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a module and a script."""
    (tmp_path / "beside_module.py").write_text(MODULE)
    (tmp_path / "beside.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("beside_module", None)


def test_far_ends_are_summed_and_silent_where_nobody_talks(echoes: TinySet) -> None:
    rendered = RenderedSet(echoes.rendered)
    both, far, near = rendered.mixtures("test")
    names = ["echo1_far_end", "echo2_far_end"]
    for mixture in (both, far):
        assert mixture.far_end_files == names
        expected = sum(rendered.load_source(mixture.id, name) for name in names)
        found = load_inputs(["far_end"], rendered, mixture)["far_end"]
        np.testing.assert_array_equal(found, expected)
        assert found.any()
    silence = load_inputs(["far_end"], rendered, near)["far_end"]
    assert silence.shape == (1, near.frames)
    assert not silence.any()


@pytest.mark.parametrize(
    ("name", "rate", "shape"),
    [("mixture", 4000, (16000,)), ("near", 8000, (100,)), ("echo1_far_end", 8000, (16000, 2))],
)
def test_a_file_of_another_shape_than_its_record_is_refused(
    name: str, rate: int, shape: tuple[int, ...], echoes: TinySet, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(echoes.rendered, folder)
    rendered = RenderedSet(folder)
    mixture = rendered.mixtures("test")[0]
    path = rendered.reference_path(mixture.id, name)
    soundfile.write(path, np.zeros(shape), rate)
    with pytest.raises(InputError, match=r"and the manifest .*`mixgen verify"):
        rendered.load_source(mixture.id, name)


def test_far_ends_of_datasets(echoes: TinySet) -> None:
    written = RenderedDataset(echoes.rendered, "test")
    drawn = ManifestDataset(echoes.manifest, "test", roots=echoes.roots)
    for item, other in zip(written, drawn, strict=True):
        both = inputs_of(["far_end"], item)["far_end"], inputs_of(["far_end"], other)["far_end"]
        np.testing.assert_array_equal(*both)
    assert written[2].far_end is None
    batch = collate([written[0], written[2]])
    assert batch["far_end"].shape == batch["mixture"].shape
    assert not batch["far_end"][1].any()
    assert torch.equal(batch["far_end"][0], torch.from_numpy(written[0].far_end))
    assert collate([written[2]])["far_end"].shape == (1, 1, 0)


def test_enrolments_are_in_the_order_of_the_targets(enrolled: TinySet) -> None:
    """The second is shorter and followed by zeros."""
    rendered = RenderedSet(enrolled.rendered)
    mixture = rendered.mixtures("test")[0]
    turned = mixture.model_copy(update={"targets": mixture.targets[::-1]})
    first, second = rendered.load_enrolments(mixture.id)
    assert (first.shape, second.shape) == ((1, 4000), (1, 2400))
    found = load_inputs(["enrolment"], rendered, turned)["enrolment"]
    assert found.shape == (2, 1, 4000)
    np.testing.assert_array_equal(found[1], first)
    np.testing.assert_array_equal(found[0], np.pad(second, ((0, 0), (0, 1600))))
    np.testing.assert_array_equal(unpadded(found[0]), second)
    item = ManifestDataset(enrolled.manifest, "test", roots=enrolled.roots)[0]
    np.testing.assert_array_equal(inputs_of(["enrolment"], item)["enrolment"], found[::-1])


def test_no_recording_is_no_long_one() -> None:
    assert side_by_side([], 2).shape == (0, 2, 0)
    assert unpadded(np.zeros((2, 9))).shape == (2, 1)
    np.testing.assert_array_equal(looped(np.arange(3.0)[None], 2, 5), [[2, 0, 1, 2, 0]])


@pytest.mark.parametrize("name", ["echoes", "enrolled"])
def test_training_gets_the_inputs(name: str, request: pytest.FixtureRequest) -> None:
    """Segments of the rendered set and of its records are the same."""
    tiny: TinySet = request.getfixturevalue(name)
    inputs = ["far_end" if name == "echoes" else "enrolment"]
    options = {"segment_s": 0.25, "seed": 3, "inputs": inputs}
    rendered, manifest = RenderedSet(tiny.rendered), read_manifest(tiny.manifest)
    written = RenderedExamples(rendered, "train", **options)
    mixed = RecordExamples(manifest, tiny.roots, "train", **options)
    for step in range(4):
        ours, theirs = make_batch(mixed, step, 2), make_batch(written, step, 2)
        assert list(ours) == list(theirs) == ["mixture", "references", *inputs]
        n_src = 1 if name == "echoes" else 2
        assert ours["references"].shape == (2, n_src, 1, 2000)
        assert ours[inputs[0]].shape == ((2, 1, 2000) if n_src == 1 else (2, 2, 1, 2000))
        for key, signal in ours.items():
            assert signal.dtype == torch.float32
            assert torch.equal(signal, theirs[key])


def test_a_far_end_is_cut_with_its_mixture(echoes: TinySet) -> None:
    """The far end of a segment is that of the whole mixture at the same time."""
    rendered = RenderedSet(echoes.rendered)
    options = {"segment_s": 0.25, "seed": 3, "inputs": ["far_end"]}
    examples = RenderedExamples(rendered, "train", **options)
    found = 0
    for index in range(4):
        example = examples.example(index)
        for record in rendered.mixtures("train"):
            whole = rendered.load_mixture(record.id)[0].astype(np.float32)
            windows = np.lib.stride_tricks.sliding_window_view(whole, 2000)
            for start in np.flatnonzero((windows == example["mixture"][0]).all(axis=1)):
                far_end = rendered.load_far_end(record.id)[:, start : start + 2000]
                np.testing.assert_array_equal(example["far_end"], far_end.astype(np.float32))
                found += 1
    assert found >= 4


def test_mixtures_without_a_target_have_silent_references(echoes: TinySet) -> None:
    examples = RenderedExamples(RenderedSet(echoes.rendered), "train", segment_s=0.5, seed=0)
    silent = [not examples.example(index)["references"].any() for index in range(4)]
    assert sorted(silent) == [False, False, False, True]


def test_dynamic_mixing_is_off_for_what_only_records_have(
    enrolled: TinySet, capsys: pytest.CaptureFixture[str]
) -> None:
    config = training_config("conv_tasnet:tiny", manifest=str(enrolled.manifest), steps=1)
    manifest = read_manifest(enrolled.manifest)
    for inputs in ((), ("enrolment",)):
        examples = _examples_of(config, manifest, enrolled.roots, inputs)
        assert isinstance(examples, DynamicMixing)
        assert set(examples.example(0)) == {"mixture", "references", *inputs}
    examples = _examples_of(config, manifest, enrolled.roots, ("far_end",))
    assert isinstance(examples, RecordExamples)
    assert "off: conv_tasnet:tiny gets the far end of records" in capsys.readouterr().err


@pytest.mark.parametrize("from_records", [False, True])
def test_validation_gets_the_inputs_and_leaves_out_what_has_no_target(
    echoes: TinySet, *, from_records: bool
) -> None:
    manifest, rendered = read_manifest(echoes.manifest), RenderedSet(echoes.rendered)
    load = from_sources(manifest, echoes.roots) if from_records else from_files(rendered)
    found = load_validation(manifest, load, Canceller(Hyperparameters(n_src=1)), count=10)
    assert found is not None
    (example,) = found.examples
    far_end = rendered.load_far_end("valid-0").astype(np.float32)
    np.testing.assert_array_equal(example.inputs["far_end"], far_end)
    assert not found.named


def test_a_set_without_a_far_end_says_so(speech: TinySet, echoes: TinySet) -> None:
    canceller = Canceller(Hyperparameters(n_src=1))
    check_inputs(canceller, read_manifest(echoes.manifest), "test")
    with pytest.raises(InputError, match="needs the far end, which no mixture of this set has"):
        check_inputs(canceller, read_manifest(speech.manifest), "test")


def test_a_set_without_enrolments_says_so(speech: TinySet, enrolled: TinySet) -> None:
    extractor = Extractor(Hyperparameters())
    check_inputs(extractor, read_manifest(enrolled.manifest), "test")
    with pytest.raises(InputError, match="mixture test-0 has no s1_enrolment: use a set whose"):
        check_inputs(extractor, read_manifest(speech.manifest), "test")


@pytest.mark.parametrize(
    "system",
    [
        "beside_module:cancel",
        "beside_module:Cancel",
        f"{sys.executable} beside.py {{mixture}} {{far_end}} {{out}}",
    ],
)
def test_programs_get_the_far_end(system: str, echoes: TinySet, folder: Path) -> None:
    separate_set(system, echoes.rendered, folder / "est", device="cpu", threads=1)
    rendered = RenderedSet(echoes.rendered)
    for mixture in rendered.mixtures("test"):
        far_end, whole = rendered.load_far_end(mixture.id), rendered.load_mixture(mixture.id)
        command = "beside.py" in system
        expected = np.full(mixture.frames, far_end[0, 100]) if command else (whole - far_end)[0]
        samples, _ = soundfile.read(folder / "est" / mixture.id / "est1.wav")
        np.testing.assert_allclose(samples, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("system", "at"),
    [
        ("beside_module:first_samples", 0),
        (f"{sys.executable} beside.py {{mixture}} {{enrolment}} {{out}}", 100),
    ],
)
def test_programs_get_enrolments_and_their_estimates_the_names_of_targets(
    system: str, at: int, enrolled: TinySet, folder: Path
) -> None:
    """A command runs once for each target."""
    run = separate_set(system, enrolled.rendered, folder / "est", device="cpu", threads=1)
    assert run["named"]
    assert run["estimates"] == ["s1", "s2"]
    rendered = RenderedSet(enrolled.rendered)
    for mixture in rendered.mixtures("test"):
        for name in mixture.targets:
            samples, _ = soundfile.read(folder / "est" / mixture.id / f"{name}.wav")
            enrolment = rendered.load_source(mixture.id, f"{name}_enrolment")
            np.testing.assert_allclose(samples, enrolment[0, at], atol=1e-6)


def test_long_mixtures_get_the_far_end_of_each_chunk() -> None:
    mixture, far_end = torch.randn(2, 1, 1, 20000)
    whole = Canceller(Hyperparameters(n_src=1))
    estimates = separate_long(whole, mixture, {"far_end": far_end}, chunk_s=1.0, overlap_s=0.2)
    torch.testing.assert_close(estimates[:, 0], mixture - far_end)


def test_enrolments_of_long_mixtures_are_whole() -> None:
    enrolment = torch.randn(1, 2, 1, 9000)
    extractor = Extractor(Hyperparameters())
    estimates = separate_long(
        extractor, torch.randn(1, 1, 20000), {"enrolment": enrolment}, chunk_s=1.0, overlap_s=0.2
    )
    expected = enrolment.square().amax(-1, keepdim=True).expand_as(estimates)
    torch.testing.assert_close(estimates, expected)


def test_a_recording_with_its_far_end() -> None:
    """A short far end is followed by silence, a long one is cut; rates and channels convert."""
    canceller = Canceller(Hyperparameters(n_src=1))
    recording, far_end = 0.1 * np.random.default_rng(0).normal(size=(2, 4000))
    for given in (far_end[:3000], np.pad(far_end, (0, 500))):
        expected = recording - np.pad(given, (0, 4000))[:4000]
        found = baselines.separate(canceller, recording, sample_rate=8000, far_end=given)
        np.testing.assert_allclose(found, expected[None, None], atol=1e-7)
    stereo = np.stack([far_end, far_end])
    found = baselines.separate(canceller, recording, sample_rate=44100, far_end=stereo)
    assert found.shape == (1, 1, 4000)


def test_a_recording_with_enrolments() -> None:
    """As many estimates as enrolments; of two dimensions it is one recording with channels."""
    extractor = Extractor(Hyperparameters())
    mixture, loud, quiet = np.zeros(100), np.ones(50), np.full(70, 0.5)
    for given, powers in (
        ([loud, quiet], [1, 0.25]),
        (loud, [1]),
        (np.stack([loud, loud]), [1]),
        (np.stack([loud, 2 * loud])[:, None], [1, 4]),
    ):
        found = baselines.separate(extractor, mixture, sample_rate=8000, enrolment=given)
        expected = np.array(powers)[:, None, None] * np.ones(100)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_a_recording_lacks_or_has_too_much_is_a_sentence() -> None:
    mixture = np.zeros(100)
    with pytest.raises(UsageError, match=r"needs the far end .*: give far_end \(--far-end FILE\)"):
        baselines.separate(Canceller(Hyperparameters(n_src=1)), mixture, sample_rate=8000)
    with pytest.raises(UsageError, match="has no use for the far end"):
        baselines.separate(baselines.build("mixture"), mixture, sample_rate=8000, far_end=mixture)
    with pytest.raises(UsageError, match="Enrolment 2 is silent and names nobody"):
        baselines.separate(
            Extractor(Hyperparameters()),
            mixture,
            sample_rate=8000,
            enrolment=[mixture + 1, mixture],
        )
    with pytest.raises(UsageError, match=r"The far end has shape \(0,\)"):
        baselines.separate(
            Canceller(Hyperparameters(n_src=1)), mixture, sample_rate=8000, far_end=np.zeros(0)
        )


def test_a_system_without_training_separates_a_file(tmp_path: Path) -> None:
    recording = 0.1 * np.random.default_rng(0).normal(size=4000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", recording, 44100, subtype="FLOAT")
    paths = separate_file(Path("mixture"), tmp_path / "a.wav", tmp_path / "est", device="cpu")
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == 44100
        np.testing.assert_array_equal(samples, recording)
    with pytest.raises(UsageError, match="conv_tasnet is not trained"):
        separate_file(Path("conv_tasnet"), tmp_path / "a.wav", tmp_path / "est", device="cpu")
