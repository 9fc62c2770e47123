"""How far every metric is from other implementations: largest difference, one table.

    python benchmarks/metrics_parity.py [DATA]

DATA is the folder of real audio (default: $SEPARATION_DATA, else ../shared/data beside the
repository). Needs mir_eval, fast_bss_eval, museval, pesq and pystoi; compares with torchmetrics too
where it is installed. Writes benchmarks/results/metrics_parity.csv.
"""

import csv
import json
import os
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import fast_bss_eval
import mir_eval
import numpy as np
import soundfile
import torch
from museval_alone import museval
from numpy.typing import NDArray
from pesq import pesq
from pystoi import stoi

from evalsuite.metrics import evaluate
from evalsuite.metrics.meeting import sa_sdr
from mixgen.audio.read import read_audio, resample

try:
    import torchmetrics.functional.audio as torchmetrics
except ImportError:
    torchmetrics = None

Array = NDArray[np.float64]
Difference = tuple[str, str, float]  # metric, oracle, absolute difference

BSS = ("sdr_bss512", "sir_bss512", "sar_bss512")
NAMES = ("Distortion", "Interference", "Artifact")
IMAGES = ("sdr_img", "isr_img", "sir_img", "sar_img")
RESULT = Path(__file__).with_name("results") / "metrics_parity.csv"
N_TALKER_PAIRS = 8
SONG_RATE = 12_000


def compare(data: Path) -> Iterator[Difference]:
    """Yield every single difference."""
    yield from stored_bss_eval(data)
    yield from two_talkers(data)
    yield from songs(data)
    yield from enhanced_speech(data)
    yield from published_pesq(data)


def ours(references: Array, estimates: Array, sample_rate: int, *metrics: str) -> dict[str, Array]:
    """Columns (n_src,) of (n_src, channels, time) signals in the given order."""
    scores = evaluate(
        references=references,
        estimates=list(estimates),
        mixture=references.sum(axis=0),
        sample_rate=sample_rate,
        names=[f"s{index}" for index in range(len(references))],
        metrics=metrics,
    )
    rows = [reference.values for reference in scores.references]
    return {column: np.array([row[column] for row in rows], dtype=float) for column in rows[0]}


def differences(metric: str, oracle: str, values: Array, theirs: Array) -> Iterator[Difference]:
    """Yield the difference of every value of a metric from an oracle."""
    for difference in np.abs(np.asarray(values) - np.asarray(theirs)).ravel():
        yield metric, oracle, float(difference)


def stored_bss_eval(data: Path) -> Iterator[Difference]:
    """The vectors that MATLAB's BSS Eval 3 was run on."""
    folder = data / "metrics" / "mir_eval-separation"
    for number in ("01", "02", "03"):
        stored = json.loads((folder / f"output{number}.json").read_text())["Sources"]
        references, estimates = (read_folder(folder / f"{n}{number}") for n in ("ref", "est"))
        estimates = estimates[stored["Source permutation"]]
        values = ours(references[:, None], estimates[:, None], 8000, "bss512")
        for column, name in zip(BSS, NAMES, strict=True):
            theirs = np.array(stored[f"Source to {name}"])
            yield from differences(column, "MATLAB BSS Eval 3", values[column], theirs)
        yield from bss_peers(values, references, estimates)
        yield from stored_images(folder, number)


def stored_images(folder: Path, number: str) -> Iterator[Difference]:
    """The same signals as multichannel images: copies, those of the estimate with a gain."""
    stored = json.loads((folder / f"output{number}.json").read_text())["Images"]
    copies = stored["nchan"] - 1
    references, estimates = (
        np.stack([mono] + [gain * mono] * copies, axis=1)
        for mono, gain in (
            (read_folder(folder / f"ref{number}"), 1.0),
            (read_folder(folder / f"est{number}"), stored["gain"]),
        )
    )
    estimates = estimates[stored["Source permutation"], :: -1 if stored["reverse"] else 1]
    values = ours(references, estimates, 8000, "images")
    names = ("Source to Distortion", "Image to Spatial", *(f"Source to {n}" for n in NAMES[1:]))
    for column, name in zip(IMAGES, names, strict=True):
        yield from differences(column, "MATLAB BSS Eval 3", values[column], np.array(stored[name]))


def two_talkers(data: Path) -> Iterator[Difference]:
    """Pairs of real utterances of up to 3 s at 8 kHz, estimated with leakage and noise."""
    rng = np.random.default_rng(0)
    for references in talker_pairs(data):
        noise = 0.01 * rng.standard_normal(references.shape)
        estimates = references + 0.2 * references[::-1] + noise
        signals = references[:, None], estimates[:, None]
        values = ours(*signals, 8000, "bss512", "si_sdr", "si_sdr_nozm", "snr")
        yield from bss_peers(values, references, estimates)
        yield from torchmetrics_peers(values, references, estimates)
        theirs = fast_bss_eval.si_sdr(references, estimates, zero_mean=True)
        yield from differences("si_sdr", "fast_bss_eval", values["si_sdr"], theirs)


def talker_pairs(data: Path) -> Iterator[Array]:
    """Yield pairs of real talkers at 8 kHz, shape (2, time)."""
    folder = data / "speech" / "librispeech-resemblyzer" / "train-clean-100"
    files = sorted(folder.rglob("*.flac"))[: 2 * N_TALKER_PAIRS]
    for first, second in zip(files[::2], files[1::2], strict=True):
        talkers = [read_audio(file)[0][0, :48_000] for file in (first, second)]
        shortest = min(len(talker) for talker in talkers)
        yield resample(np.stack([talker[:shortest] for talker in talkers]), 16_000, 8_000)


def bss_peers(
    values: dict[str, Array], references: Array, estimates: Array
) -> Iterator[Difference]:
    """Yield how far our values are from those of mir_eval and fast_bss_eval."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, message="mir_eval.separation")
        theirs = mir_eval.separation.bss_eval_sources(references, estimates, False)
    for column, of_mir_eval in zip(BSS, theirs, strict=False):
        yield from differences(column, "mir_eval", values[column], of_mir_eval)
    theirs = fast_bss_eval.bss_eval_sources(references, estimates)
    for column, of_fast_bss_eval in zip(BSS, theirs, strict=False):
        yield from differences(column, "fast_bss_eval", values[column], of_fast_bss_eval)


def torchmetrics_peers(
    values: dict[str, Array], references: Array, estimates: Array
) -> Iterator[Difference]:
    """Yield how far our values are from those of torchmetrics, which adds constants to energies."""
    if torchmetrics is None:
        return
    s, e = (torch.from_numpy(signals) for signals in (references, estimates))
    theirs = {
        "sdr_bss512": torchmetrics.signal_distortion_ratio(e, s),
        "si_sdr": torchmetrics.scale_invariant_signal_noise_ratio(e, s),
        "si_sdr_nozm": torchmetrics.scale_invariant_signal_distortion_ratio(e, s),
        "snr": torchmetrics.signal_noise_ratio(e, s),
    }
    for column, value in theirs.items():
        yield from differences(column, "torchmetrics", values[column], value.numpy())
    if hasattr(torchmetrics, "source_aggregated_signal_distortion_ratio"):
        value = torchmetrics.source_aggregated_signal_distortion_ratio(
            e[None], s[None], scale_invariant=False
        )
        ours_of_all = sa_sdr(
            references=list(references[:, None]), estimates=list(estimates[:, None])
        )
        yield from differences("sa_sdr", "torchmetrics", np.asarray(ours_of_all), value.numpy())


def songs(data: Path) -> Iterator[Difference]:
    """Four stereo stems of real songs, 4.5 s; one estimate is silent in the first frame."""
    rng = np.random.default_rng(0)
    for song in sorted((data / "music" / "everything-is-free").glob("*/")):
        stems = [song / f"{name}.flac" for name in ("vocals", "drums", "bass", "other")]
        audio = [read_audio(stem, start=48_000 * 6, frames=48_000 * 9 // 2)[0] for stem in stems]
        references = np.stack([resample(samples, 48_000, SONG_RATE) for samples in audio])
        noise = 0.01 * rng.standard_normal(references.shape)
        estimates = references + 0.2 * references.sum(axis=0) + noise
        estimates[0, :, :SONG_RATE] = 0.0
        metrics = ("sdr_v4", "images_v3", "images_v4")
        values = ours(references, estimates, SONG_RATE, *metrics)
        swapped = [np.moveaxis(samples, 1, 2) for samples in (references, estimates)]
        for mode in ("v3", "v4"):
            frames = museval.evaluate(*swapped, win=SONG_RATE, hop=SONG_RATE, mode=mode)[:4]
            ratios = [f"{ratio}_{mode}_med" for ratio in ("isr", "sir", "sar")]
            for column, theirs in zip(("sdr_v4_med", *ratios), frames, strict=True):
                medians = np.nanmedian(theirs, axis=1)
                yield from differences(column, f"museval {mode}", values[column], medians)


def enhanced_speech(data: Path) -> Iterator[Difference]:
    """Clean and noisy speech of VoiceBank-DEMAND at 16 kHz, and the same at 8 kHz."""
    folder = data / "speech" / "voicebank-demand-p287-denoiser"
    for file in sorted((folder / "clean").glob("*.wav")):
        pair = np.stack([read_audio(path)[0][0] for path in (file, folder / "noisy" / file.name)])
        yield from speech_peers(pair, 16_000, {"pesq_nb16k": "nb", "pesq_wb16k": "wb"})
        yield from speech_peers(resample(pair, 16_000, 8_000), 8_000, {"pesq_nb8k": "nb"})


def speech_peers(pair: Array, sample_rate: int, modes: dict[str, str]) -> Iterator[Difference]:
    """Yield how far we are from pystoi and pesq on a clean and a noisy signal."""
    clean, noisy = pair
    values = ours(clean[None, None], noisy[None, None], sample_rate, "stoi", *modes)
    for column, mode in modes.items():
        yield from differences(
            column, "pesq", values[column], pesq(sample_rate, clean, noisy, mode)
        )
    for column, extended in (("stoi", False), ("estoi", True)):
        theirs = stoi(clean, noisy, sample_rate, extended=extended)
        yield from differences(column, "pystoi", values[column], theirs)


def published_pesq(data: Path) -> Iterator[Difference]:
    """The pair in the README of `pesq` and the values printed there."""
    folder = data / "metrics" / "pesq-ludlows"
    expected = json.loads((folder / "expected.json").read_text())
    clean, noisy = (read_audio(folder / expected[n])[0] for n in ("reference", "degraded"))
    values = ours(clean[None], noisy[None], 16_000, "pesq_nb16k", "pesq_wb16k")
    for mode in ("nb", "wb"):
        column = f"pesq_{mode}16k"
        yield from differences(column, "published value", values[column], expected[f"pesq_{mode}"])


def read_folder(folder: Path) -> Array:
    """Return the signals of a folder of test vectors."""
    return np.stack([soundfile.read(path)[0] for path in sorted(folder.glob("*.wav"))])


def data_folder() -> Path:
    """Return the folder of real audio that the command line or the environment names."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SEPARATION_DATA") or beside)
    if not (data / "metrics").is_dir():
        sys.exit(f"There is no metrics folder in {data}: give the folder of real audio.")
    return data


def main() -> None:
    """Print one row per metric and oracle."""
    data = data_folder()
    table: dict[tuple[str, str], list[float]] = defaultdict(list)
    for metric, oracle, difference in compare(data):
        table[metric, oracle].append(difference)
    rows = [
        (metric, oracle, str(len(found)), f"{np.max(found):.1e}")
        for (metric, oracle), found in sorted(table.items())
    ]
    header = ("metric", "oracle", "values", "largest_difference")
    for row in (header, *rows):
        print("{:<14} {:<18} {:>6} {:>18}".format(*row))
    with open(RESULT, "w", newline="") as file:
        csv.writer(file).writerows((header, *rows))


if __name__ == "__main__":
    main()
