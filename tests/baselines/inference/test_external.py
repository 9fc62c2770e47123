"""Programs of others: functions, classes, command lines; what they return and how they fail."""

import hashlib
import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from baselines.inference.external import OnnxCall
from baselines.inference.separate import separate_set
from mixgen.core.errors import InputError, PartialFailure, UsageError
from mixgen.sets.rendered import RenderedSet
from tests.baselines.conftest import TinySet

MODULE = """
import numpy as np
import torch

def halves(mixture, sample_rate):
    assert mixture.dtype == np.float32 and sample_rate == 8000
    return [0.5 * mixture, 0.25 * mixture]

def stacked(mixture, sample_rate):
    return np.stack(halves(mixture, sample_rate))

def mono(mixture, sample_rate):
    return [signal[0] for signal in halves(mixture, sample_rate)]

def one(mixture, sample_rate):
    return [mixture]

def many(mixture, sample_rate):
    return [mixture] * 3

def short(mixture, sample_rate):
    return [mixture[:, :-1]] * 2

def broken(mixture, sample_rate):
    return mixture["no"]

def late(mixture, sample_rate):
    return [np.pad(0.5 * mixture, ((0, 0), (40, 0)))[:, :mixture.shape[1]]] * 2

def declared(mixture, sample_rate):
    return late(mixture, sample_rate)

declared.latency_s = 0.005

def no_time(mixture, sample_rate):
    return late(mixture, sample_rate)

no_time.latency_s = "soon"

class Half(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, mixture):
        return torch.stack([self.gain * mixture, 0.25 * mixture], 1)

NUMBER = 3
"""

SCRIPT = """
import sys
from pathlib import Path
import soundfile
mixture, out = sys.argv[1:]
samples, rate = soundfile.read(mixture)
for name, gain in (("a", 0.5), ("b", 0.25)):
    soundfile.write(Path(out, f"{name}.wav"), gain * samples, rate, subtype="FLOAT")
"""
LATE_SCRIPT = """
import sys
import numpy as np
import soundfile
mixture, out = sys.argv[1:]
samples, rate = soundfile.read(mixture)
late = 0.5 * np.concatenate([np.zeros(40), samples])[: len(samples)]
soundfile.write(f"{out}/a.wav", late, rate, subtype="FLOAT")
"""
LATE_COMMAND = f"{sys.executable} late.py {{mixture}} {{out}}"
COMMAND = f"{sys.executable} 'others script.py' {{mixture}} {{out}}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a module and a script."""
    (tmp_path / "others_module.py").write_text(MODULE)
    (tmp_path / "others script.py").write_text(SCRIPT)
    (tmp_path / "late.py").write_text(LATE_SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("others_module", None)


def run(system: str, tiny: TinySet) -> dict[str, Any]:
    return separate_set(system, tiny.rendered, Path("est"), device="cpu", threads=1)


@pytest.mark.parametrize("system", ["halves", "stacked", "mono", "Half", COMMAND])
def test_estimates_are_what_the_program_returns(system: str, speech: TinySet, folder: Path) -> None:
    system = system if " " in system else f"others_module:{system}"
    record = run(system, speech)
    assert (record["model"], record["estimates"]) == (system, ["est1", "est2"])
    assert record["macs_per_second"] is None
    assert record["parameters"] == (1 if "Half" in system else 0)
    assert (record["checkpoint_sha256"] is None) == (system == COMMAND)
    rendered = RenderedSet(speech.rendered)
    for mixture in rendered.mixtures("test"):
        for name, gain in (("est1", 0.5), ("est2", 0.25)):
            samples, _ = soundfile.read(folder / "est" / mixture.id / f"{name}.wav")
            expected = gain * rendered.load_mixture(mixture.id)[0]
            np.testing.assert_allclose(samples, expected, atol=1e-7)


@pytest.mark.usefixtures("folder")
def test_a_name_in_front_is_the_name_of_the_system(speech: TinySet) -> None:
    assert run(f"mine={COMMAND}", speech)["model"] == "mine"


def test_fewer_estimates_than_sources_are_silent(speech: TinySet, folder: Path) -> None:
    run("others_module:one", speech)
    paths = list((folder / "est").glob("*/est2.wav"))
    assert paths
    assert not any(soundfile.read(path)[0].any() for path in paths)


@pytest.mark.parametrize(
    "system",
    ["others_module:declared", "mine@0.005s=others_module:late", "m@0.005s=others_module:declared"],
)
def test_late_estimates_are_aligned_where_the_latency_is_declared(
    system: str, speech: TinySet, folder: Path
) -> None:
    """40 samples at 8 kHz, to the last sample of the mixture."""
    assert run(system, speech)["latency_s"] == 0.005
    rendered = RenderedSet(speech.rendered)
    for mixture in rendered.mixtures("test"):
        samples, _ = soundfile.read(folder / "est" / mixture.id / "est1.wav")
        np.testing.assert_allclose(samples, 0.5 * rendered.load_mixture(mixture.id)[0], atol=1e-7)


@pytest.mark.usefixtures("folder")
def test_a_latency_that_is_declared_later_separates_again(speech: TinySet) -> None:
    assert run("mine=others_module:late", speech)["latency_s"] is None
    with pytest.raises(UsageError, match="--overwrite"):
        run("mine@0.005s=others_module:late", speech)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("system", "reason"),
    [
        ("others_module:many", "3 estimates, and the set has 2 sources"),
        ("others_module:short", "an estimate has shape"),
        ("others_module:broken", "IndexError: only integers"),
        (f"{sys.executable} -c 'raise SystemExit(7)' {{mixture}} {{out}}", "ended with code 7"),
    ],
)
def test_a_failure_is_a_failed_mixture(
    system: str, reason: str, speech: TinySet, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PartialFailure):
        run(system, speech)
    assert reason in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("no_module:f", "cannot be imported"),
        ("others_module:f", "cannot be imported"),
        ("others_module:NUMBER", "neither a function nor a torch module"),
        ("no-program {mixture} {out}", "There is no program no-program"),
        ("no.onnx", "There is no ONNX file"),
        ("others_module:no_time", "declares latency_s = 'soon'"),
    ],
)
def test_what_does_not_exist_is_a_sentence(system: str, words: str, speech: TinySet) -> None:
    with pytest.raises(UsageError, match=words):
        run(system, speech)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("def f(:", r"cannot be imported \(SyntaxError: .*\): repair it"),
        ("raise ValueError('no weights')", r"cannot be imported \(ValueError: no weights\)"),
        ("import sys; sys.exit(5)", r"cannot be imported \(SystemExit: 5\)"),
        (
            "import torch\nclass f(torch.nn.Module):\n    def __init__(self, n): pass",
            r"cannot be built without arguments \(TypeError: .*'n'\): give them defaults",
        ),
    ],
)
def test_a_module_that_fails_is_a_sentence(
    module: str, sentence: str, folder: Path, speech: TinySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "failing_module", raising=False)
    (folder / "failing_module.py").write_text(module)
    importlib.invalidate_caches()
    with pytest.raises(InputError, match=sentence):
        run("failing_module:f", speech)


@pytest.fixture
def onnx(folder: Path) -> Path:
    """An ONNX file in the working folder; skips the test without onnxruntime."""
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    golden = Path(__file__).parents[2] / "golden" / "halves.onnx"
    return Path(shutil.copy(golden, folder / "halves.onnx"))


@pytest.mark.parametrize("system", ["halves.onnx", "mine=halves.onnx"])
def test_an_onnx_model_separates(system: str, speech: TinySet, onnx: Path) -> None:
    """Mixtures of any length: 0.5 and 0.25 times the mixture."""
    record = run(system, speech)
    assert (record["model"], record["parameters"]) == (system.split("=")[0], 0)
    assert record["checkpoint_sha256"] == hashlib.sha256(onnx.read_bytes()).hexdigest()
    rendered = RenderedSet(speech.rendered)
    for mixture in rendered.mixtures("test"):
        for name, gain in (("est1", 0.5), ("est2", 0.25)):
            samples, _ = soundfile.read(onnx.parent / "est" / mixture.id / f"{name}.wav")
            np.testing.assert_array_equal(samples, gain * rendered.load_mixture(mixture.id)[0])


def test_an_onnx_model_uses_the_threads_of_the_run(onnx: Path) -> None:
    torch.set_num_threads(1)
    assert OnnxCall(onnx).session.get_session_options().intra_op_num_threads == 1


def test_a_broken_onnx_file_is_a_sentence(speech: TinySet, onnx: Path) -> None:
    onnx.write_bytes(b"no model")
    with pytest.raises(InputError, match="is no ONNX model that can be run") as stop:
        run("halves.onnx", speech)
    assert "\n" not in str(stop.value)
