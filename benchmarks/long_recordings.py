"""What chunks cost: estimates of long recordings in chunks beside those of the whole, and memory.

    python benchmarks/long_recordings.py CHECKPOINT... --set SET

For each checkpoint, mixtures of the set's test split are put one after the other to a recording of
`--seconds`. Its estimates in chunks (20 s, overlapping by 4 s, as `baselines separate` does) are
compared with those of the whole recording: the SNR of all samples, that of the samples within half
a second of a seam, and how many seams exchanged the estimates. Then an hour is separated in a
process of its own, whose peak memory is set against that of the signals alone. Writes
benchmarks/results/long_recordings.csv.
"""

import argparse
import csv
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import baselines
from baselines.checkpoint import read_meta
from baselines.inference.long import chunk_starts, separate_long
from mixgen.audio.read import Samples
from mixgen.sets.rendered import RenderedSet

CHUNK_S, OVERLAP_S = 20.0, 4.0
RESULT = Path(__file__).parent / "results" / "long_recordings.csv"
HEADER = ("system", "seconds", "snr_db", "snr_at_seams_db", "exchanged_seams", "seams")
MEMORY = ("hour_peak_mb", "signals_of_an_hour_mb")


def recording(rendered: RenderedSet, seconds: float) -> Tensor:
    """Return mixtures of the test split one after the other, (1, channels, time)."""
    mixtures = rendered.mixtures("test")
    parts: list[Samples] = []
    missing = round(seconds * mixtures[0].sample_rate)
    while missing > 0:
        parts.append(rendered.load_mixture(mixtures[len(parts) % len(mixtures)].id))
        missing -= parts[-1].shape[-1]
    return torch.from_numpy(np.concatenate(parts, axis=-1)).float()[None]


def snr_db(reference: Tensor, estimate: Tensor) -> float:
    error = (reference - estimate).square().sum()
    return float(10 * torch.log10(reference.square().sum() / error.clamp(min=1e-30)))


@torch.no_grad()
def compare(checkpoint: Path, mixture: Tensor) -> list[object]:
    """Return a row of the table but for the memory."""
    separator = baselines.load(checkpoint)
    rate, time = separator.sample_rate, mixture.shape[-1]
    whole = separator(mixture)
    chunks = separate_long(separator, mixture, chunk_s=CHUNK_S, overlap_s=OVERLAP_S)
    starts = chunk_starts(time, chunk=round(CHUNK_S * rate), overlap=round(OVERLAP_S * rate))
    near = torch.zeros(time, dtype=torch.bool)
    exchanged = 0
    for start in starts[1:]:
        near[start : start + round(OVERLAP_S * rate) + rate // 2] = True
        piece = slice(start + round(OVERLAP_S * rate), start + round(CHUNK_S * rate))
        correlation = torch.einsum("bict,bjct->ij", whole[..., piece], chunks[..., piece])
        exchanged += int((correlation.argmax(1) != torch.arange(separator.n_src)).any())
    at_seams = snr_db(whole[..., near], chunks[..., near])
    name = read_meta(checkpoint).model
    numbers = [round(snr_db(whole, chunks), 1), round(at_seams, 1), exchanged, len(starts) - 1]
    return [name, time / rate, *numbers]


def hour(checkpoint: Path) -> None:
    """Separate an hour of noise; print the peak memory in megabytes, and that of the signals."""
    separator = baselines.load(checkpoint)
    time = 3600 * separator.sample_rate
    mixture = 0.1 * torch.randn(1, separator.channels, time)
    estimates = separate_long(separator, mixture, chunk_s=CHUNK_S, overlap_s=OVERLAP_S)
    signals = 4 * (mixture.numel() + estimates.numel()) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"{peak:.0f} {signals:.0f}")


def main() -> None:
    """Compare every checkpoint, or separate an hour with one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--set", type=Path)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--hour", action="store_true", help="Only separate an hour.")
    options = parser.parse_args()
    if options.hour:
        hour(options.checkpoints[0])
        return
    mixture = recording(RenderedSet(options.set), options.seconds)
    rows = []
    for checkpoint in options.checkpoints:
        row = compare(checkpoint, mixture)
        alone = [sys.executable, __file__, str(checkpoint), "--hour"]
        row += subprocess.run(alone, capture_output=True, text=True, check=True).stdout.split()
        print(*row, sep="  ", flush=True)
        rows.append(row)
    with open(RESULT, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([HEADER + MEMORY, *rows])
    print(f"wrote {RESULT}")


if __name__ == "__main__":
    main()
