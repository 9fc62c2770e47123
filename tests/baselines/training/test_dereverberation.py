"""Any system learns to dereverberate: the recipe's reference is all that changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from baselines.checkpoint import load_history
from baselines.training.config import training_config
from baselines.training.train import train
from evalsuite.run import run
from mixgen.corpora.index import SplitPlan, index_corpus
from mixgen.corpora.layout import get_layout
from mixgen.corpora.roots import Roots
from mixgen.corpora.sources import SourceRow
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.file import write_manifest
from mixgen.recipe.read import find_recipe, read_recipe
from mixgen.recipe.schema import Recipe
from mixgen.render.set import render_set
from mixgen.sets.rendered import RenderedSet

RATE = 8000


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[SourceRow], Roots]:
    """Two talkers (noise in bursts) and a room whose response decays by 60 dB in 0.4 s."""
    folder = tmp_path_factory.mktemp("corpora")
    rng = np.random.default_rng(0)
    for talker in ("a", "b"):
        loudness = np.repeat(np.tile([1.0, 0.0, 0.3, 0.0], 5), RATE // 20)
        write(folder / "speech" / talker / "one.wav", 0.05 * loudness * rng.normal(size=RATE))
    decay = 10 ** (-3 * np.arange(3200) / 3200)
    response = 0.2 * decay * rng.normal(size=3200)
    response[0] = 1.0
    write(folder / "rooms" / "hall" / "response.wav", 0.5 * response)
    rows: list[SourceRow] = []
    for corpus, kind in (("speech", "speech"), ("rooms", "rir")):
        rows += index_corpus(
            get_layout("folder"),
            folder / corpus,
            corpus=corpus,
            kind=kind,  # type: ignore[arg-type]
            licence="",
            splits=SplitPlan("train"),
        ).rows
    return rows, {name: folder / name for name in ("speech", "rooms")}


def write(path: Path, samples: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def retargeted(name: str, corpora: tuple[list[SourceRow], Roots], out: Path) -> RenderedSet:
    """Render a shipped recipe at 8 kHz and 1 s from the corpora."""
    rows, roots = corpora
    recipe = read_recipe(find_recipe(name)).model_dump(mode="json", exclude_unset=True)
    changes = {
        "sample_rate": RATE,
        "duration": {"mode": "fixed", "seconds": 1.0},
        "splits": {
            split: {"mixtures": mixtures, "sources": "train"}
            for split, mixtures in (("train", 4), ("valid", 2), ("test", 2))
        },
    }
    smaller = Recipe.model_validate(recipe | changes)
    manifest = out / "manifest.jsonl"
    write_manifest(manifest, draw_header(smaller, rows), draw_mixtures(smaller, rows, roots))
    render_set(manifest, out / "set", roots=roots)
    return RenderedSet(out / "set")


@pytest.mark.parametrize("part", ["early", "dry"])
def test_a_waveform_system_learns_the_reference_of_the_recipe(
    part: str, corpora: tuple[list[SourceRow], Roots], tmp_path: Path
) -> None:
    """SI-SDR against that reference rises with training."""
    rendered = retargeted(f"speech_dereverb_{part}", corpora, tmp_path)
    assert rendered.mixtures("train")[0].targets == [f"speech_{part}"]
    config = training_config(
        "conv_tasnet:tiny",
        rendered=str(rendered.folder),
        steps=40,
        batch_size=2,
        segment_s=1.0,
        learning_rate=1e-2,
        validations=4,
        average_decay=0.0,
        device="cpu",
    )
    train(config, tmp_path / "run")
    rows = load_history(tmp_path / "run")
    assert rows[-1]["loss"] < rows[0]["loss"] - 1
    assert rows[-1]["valid_si_sdr_db"] > rows[0]["valid_si_sdr_db"] + 1


def test_a_system_for_dereverberation_is_ranked_beside_wpe(
    corpora: tuple[list[SourceRow], Roots], tmp_path: Path
) -> None:
    """From the shipped recipe to the leaderboard."""
    rendered = retargeted("speech_dereverb_early", corpora, tmp_path)
    config = training_config(
        "spectral_mapping:tiny",
        rendered=str(rendered.folder),
        steps=2,
        batch_size=2,
        segment_s=0.5,
        device="cpu",
    )
    train(config, tmp_path / "mapping")
    metrics = ["si_sdr", "srmr", "lsd"]
    systems = ["mixture", "wpe", str(tmp_path / "mapping")]
    result = run(
        sets=[rendered.folder], systems=systems, out=tmp_path / "out", metrics=metrics, workers=1
    )
    assert result.skipped == []
    assert result.n_failed == 0
    rows = {row["model"]: row for row in result.rows}
    assert set(rows) == {"mixture", "wpe", "spectral_mapping:tiny"}
    assert rows["wpe"]["srmri_mean"] is not None
