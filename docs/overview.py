"""Draw what a run made: spectrograms of one mixture, its references and estimates, and the table.

    python docs/overview.py --set demo/sets/starter_2mix --results demo/results/starter_2mix \
        --system conv_tasnet --out demo/overview.png

The mixture is the one where the system's SI-SDR improvement is the median of the set.
"""

import argparse
import statistics
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from evalsuite.boards.leaderboard import rank
from evalsuite.scoring.folder import ScoreFolder
from mixgen.audio.read import Samples, read_audio
from mixgen.sets.rendered import RenderedSet

COLUMNS = {
    "model": "system",
    "si_sdri_mean": "SI-SDRi [dB]",
    "sdr_bss512i_mean": "SDRi [dB]",
    "pesq_nb8k_mean": "PESQ",
    "stoi_mean": "STOI",
    "parameters": "parameters",
}
DYNAMICS_DB = 70
INK, PAPER, QUIET = "#1c2733", "white", "#6b7886"


def spectrogram(axes: Axes, samples: Samples, sample_rate: int, title: str) -> None:
    """Draw the levels of the first channel of (channels, time) samples."""
    with np.errstate(divide="ignore"):
        _, _, _, picture = axes.specgram(
            samples[0] + 1e-9, NFFT=256, Fs=sample_rate, noverlap=192, cmap="magma"
        )
    levels = picture.get_array()
    assert levels is not None
    top = levels.max()
    picture.set_clim(top - DYNAMICS_DB, top)
    axes.set_title(title, fontsize=9, color=INK, loc="left", pad=3)
    axes.tick_params(labelsize=7, colors=QUIET, length=2)
    axes.yaxis.set_major_formatter(lambda hertz, _: f"{hertz / 1000:g}")
    axes.spines[:].set_visible(False)


def median_item(scores: ScoreFolder) -> str:
    """Return the mixture whose improvement is the middle one."""
    improvements = scores.scored("si_sdri")
    middle = statistics.median_low(improvements.values())
    return next(name for name, value in improvements.items() if value == middle)


def table(axes: Axes, results: Path) -> None:
    """Draw the leaderboard of the systems below a folder of results."""
    rows = rank(sorted(path.parent for path in results.glob("*/scores/run.json")))
    rows = [row for row in rows if row["set"] == rows[0]["set"]]
    shown = [[_cell(row[column]) for column in COLUMNS] for row in rows]
    axes.axis("off")
    drawn = axes.table(
        shown, colLabels=list(COLUMNS.values()), loc="upper left", edges="horizontal"
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    drawn.scale(1, 1.5)
    drawn.auto_set_column_width(list(range(len(COLUMNS))))
    for (row, column), cell in drawn.get_celld().items():
        cell.set_edgecolor("#d8dee5")
        cell.set_text_props(color=QUIET if row == 0 else INK, ha="left" if column == 0 else "right")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description="Spectrograms and the leaderboard in one picture.")
    parser.add_argument("--set", type=Path, required=True, help="the rendered set")
    parser.add_argument("--results", type=Path, required=True, help="results of `evalsuite run`")
    parser.add_argument("--system", required=True, help="the system whose estimates are drawn")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    given = parser.parse_args()

    rendered, folder = RenderedSet(given.set), given.results / given.system
    scores = ScoreFolder(folder / "scores")
    name = median_item(scores)
    items = [item for (mixture, _), item in scores.rows.items() if mixture == name]
    figure = plt.figure(figsize=(12, 2 + 1.7 * len(items)), facecolor=PAPER, layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.05))[0]
    cells = left.subplots(1 + len(items), 2, sharex=True, sharey=True)
    rate = rendered.manifest.mixtures[0].sample_rate
    spectrogram(cells[0, 0], read_audio(rendered.mixture_path(name))[0], rate, "mixture")
    cells[0, 1].axis("off")
    for row, item in zip(cells[1:], items, strict=True):
        reference = read_audio(rendered.reference_path(name, str(item.reference)))[0]
        estimate = read_audio(folder / "estimates" / name / f"{item.estimate}.wav")[0]
        spectrogram(row[0], reference, rate, f"reference {item.reference}")
        gain = f"SI-SDRi {item.values['si_sdri']:+.1f} dB"
        spectrogram(row[1], estimate, rate, f"{scores.run.model}, {gain}")
    left.supxlabel("time [s]", fontsize=8, color=QUIET)
    left.supylabel("frequency [kHz]", fontsize=8, color=QUIET)
    table(right.subplots(), given.results)
    figure.savefig(given.out, dpi=110)


if __name__ == "__main__":
    main()
