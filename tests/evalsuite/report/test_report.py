"""What a report is made of, its sounds, and what it refuses."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

import evalsuite.report.page
from evalsuite import cli
from evalsuite.report import make_report
from evalsuite.scoring.folder import ScoreFolder, write_pinned
from evalsuite.scoring.pairing import pair_folders
from evalsuite.scoring.score import score_plan
from mixgen.core.errors import InputError, UsageError
from mixgen.sets.rendered import RenderedSet
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet
from tests.evalsuite.report.conftest import Results
from tests.pages import HOSTILE, Page


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_best_the_median_and_the_worst_mixture_can_be_heard(
    make_set: MakeSet, results: Results, tmp_path: Path
) -> None:
    folder = make_set(n=7)
    made = results(folder, model={"spread_db": 3.0})
    page = make_report([made], tmp_path / "page", sets=[folder])
    values = ScoreFolder(made / "tiny" / "model" / "scores").ranked("si_sdri")
    order = sorted(values, key=lambda mixture_id: -values[mixture_id])
    text = " ".join(Page(page).text.split())
    sounds = iter(Page(page).sources("audio"))
    estimates = made / "tiny" / "model" / "estimates"
    rendered = RenderedSet(folder)
    for place, mixture_id in (("best", order[0]), ("median", order[3]), ("worst", order[6])):
        assert f"{place} {mixture_id} si_sdri {values[mixture_id]:.2f} dB" in text
        references = rendered.load_references(mixture_id)[:, 0]
        kept = [rendered.load_mixture(mixture_id)[0]]
        for reference, name in zip(references, ("est2", "est1"), strict=True):
            kept += [reference, soundfile.read(estimates / mixture_id / f"{name}.wav")[0]]
        for samples in kept:
            played, rate = soundfile.read(page.parent / next(sounds))
            assert rate == 8000
            np.testing.assert_allclose(played, samples, atol=2**-15)
    assert next(sounds, None) is None
    sizes = set()
    for picture in Page(page).sources("img"):
        with Image.open(page.parent / picture) as image:
            sizes.add((image.format, image.size))
    assert len(sizes) == 1


def test_examples_are_as_many_as_asked_for_and_each_is_shown_once(
    make_set: MakeSet, results: Results, tmp_path: Path
) -> None:
    made = results(make_set(n=4), model={"spread_db": 3.0})
    for number, cards in ((0, 0), (1, 3), (2, 4), (9, 4)):
        page = Page(make_report([made], tmp_path / "page", examples=number))
        assert sum("example" in c["class"].split() for c in page.having("class", "id")) == cards
    assert page.text.count("best, median, worst test_") == 4


def test_one_gain_turns_down_all_players_of_a_mixture(
    make_set: MakeSet, results: Results, tmp_path: Path
) -> None:
    folder = make_set(n=1)
    made = results(folder, loud={})
    path = made / "tiny" / "loud" / "estimates" / "test_000" / "est1.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, 100 * samples, rate, subtype="FLOAT")
    page = make_report([made], tmp_path / "page", sets=[folder])
    sounds = [soundfile.read(page.parent / sound)[0] for sound in Page(page).sources("audio")]
    mixture = RenderedSet(folder).load_mixture("test_000")[0]
    gain = min(1 / np.abs(100 * samples).max(), 10 ** (-12 / 20) / np.std(100 * samples))
    assert max(np.abs(sound).max() for sound in sounds) <= 1
    np.testing.assert_allclose(sounds[0], gain * mixture, atol=2**-15)
    stated = f"turned down by {-20 * np.log10(gain):.1f} dB, because the estimate est1 is too loud"
    assert stated in Page(page).text


@pytest.mark.parametrize("broken", ["missing", "text", "nan", "rate"])
def test_a_file_that_cannot_be_played_is_a_sentence(
    make_set: MakeSet, results: Results, tmp_path: Path, broken: str
) -> None:
    folder = make_set(n=1)
    made = results(folder, model={})
    path = made / "tiny" / "model" / "estimates" / "test_000" / "est1.wav"
    path.unlink()
    if broken == "text":
        path.write_text("no audio")
    elif broken == "nan":
        soundfile.write(path, np.full(4000, np.nan), 8000, subtype="FLOAT")
    elif broken == "rate":
        soundfile.write(path, np.zeros(4000), 16000)
    page = Page(make_report([made], tmp_path / "page", sets=[folder]))
    assert len(page.sources("audio")) == 4
    assert "test_000/est1.wav" in page.text
    assert str(tmp_path) not in page.text


def test_without_audio_the_page_says_so(
    make_set: MakeSet, results: Results, tmp_path: Path
) -> None:
    folder = make_set(n=2)
    made = results(folder, model={})
    scores = made / "tiny" / "model" / "scores"
    page = Page(make_report([made], tmp_path / "page"))
    assert "the report was made without --set" in page.text
    assert page.sources("audio") == []
    shutil.rmtree(scores.with_name("estimates"))
    page = Page(make_report([made], tmp_path / "page", sets=[folder]))
    assert "The estimates are not played" in page.text
    assert len(page.sources("audio")) == 2 * 3
    write_pinned(tmp_path / "pinned.jsonl", ScoreFolder(scores))
    pinned = Page(make_report([tmp_path / "pinned.jsonl"], tmp_path / "page"))
    assert "without --set" in pinned.text


@pytest.mark.parametrize("mixtures", ["among the references", "elsewhere", "nowhere"])
def test_files_of_other_programs_can_be_heard(tmp_path: Path, mixtures: str) -> None:
    references, estimates = tmp_path / "references", tmp_path / "mine"
    rng = np.random.default_rng(0)
    written: dict[Path, NDArray[np.float64]] = {}
    for mixture_id in ("utt_1", "utt_2", "utt_3"):
        first, second = 0.1 * rng.standard_normal((2, 8000))
        written[references / "s1" / f"{mixture_id}.wav"] = first
        written[references / "s2" / f"{mixture_id}.wav"] = second
        written[estimates / f"{mixture_id}_s1.wav"] = 0.9 * second
        written[estimates / f"{mixture_id}_s2.wav"] = 0.8 * first
        if mixtures == "among the references":
            written[references / "mix_clean" / f"{mixture_id}.wav"] = first + second
        elif mixtures == "elsewhere":
            written[tmp_path / "mixtures" / f"{mixture_id}.wav"] = first + second
    for path, samples in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 8000, subtype="FLOAT")
    elsewhere = tmp_path / "mixtures" if mixtures == "elsewhere" else None
    pairing = pair_folders(references, estimates, mixtures=elsewhere, metrics=["si_sdr"])
    score_plan(pairing.plan, tmp_path / "scores")

    def report() -> Path:
        """Write the report."""
        return make_report(
            [tmp_path / "scores"],
            tmp_path / "page",
            references=references,
            mixtures=elsewhere,
            estimates=[f"mine={estimates}"],
        )

    page = report()
    played = [soundfile.read(page.parent / sound)[0] for sound in Page(page).sources("audio")]
    assert len(played) == 3 * (4 if mixtures == "nowhere" else 5)
    for samples in written.values():
        assert any(np.allclose(samples, sound, atol=2**-15) for sound in played)
    assert str(tmp_path) not in page.read_text()
    soundfile.write(references / "s1" / "utt_1.wav", first, 8000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"references.* is not the set that was scored"):
        report()


@pytest.mark.parametrize("given", ["{model}={folder}", "{folder}"])
def test_estimates_elsewhere_are_named_or_found_by_their_record(
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
    tmp_path: Path,
    given: str,
) -> None:
    folder = make_set(n=1)
    estimates = make_estimates(folder, "a=b")
    scores = make_scores(folder, estimates)
    words = given.format(model="a=b", folder=estimates)
    page = make_report([scores], tmp_path / "page", sets=[folder], estimates=[words])
    assert len(Page(page).sources("audio")) == 5


def test_folders_that_do_not_belong_together_are_refused(
    make_set: MakeSet, results: Results, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder, other = make_set("one", n=1), make_set("two", n=1, seed=5)
    made = results(folder, model={}, another={})
    foreign = make_estimates(other, "foreign")
    refusals = [
        ({"sets": [other]}, InputError, "is not the set that was scored"),
        (
            {"estimates": ["nobody=there"]},
            UsageError,
            "with the name of a system: there are another, model",
        ),
        ({"estimates": ["model=nowhere"]}, InputError, "nowhere is not a folder of estimates"),
        ({"estimates": [str(foreign)]}, InputError, "not the ones that were scored"),
    ]
    for arguments, kind, sentence in refusals:
        with pytest.raises(kind, match=sentence):
            make_report([made], tmp_path / "page", **arguments)
    (foreign / "run.json").unlink()
    with pytest.raises(UsageError, match="says whose estimates it holds: give the name"):
        make_report([made], tmp_path / "page", estimates=[str(foreign)])
    with pytest.raises(UsageError, match="--mixtures goes with --references"):
        make_report([made], tmp_path / "page", mixtures=folder)
    with pytest.raises(InputError, match="is not the set that was scored"):
        make_report([made], tmp_path / "page", references=tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no scores"):
        make_report([tmp_path], tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_the_report_is_whole_or_as_it_was(
    make_set: MakeSet, results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = results(make_set(n=2), model={})
    out = tmp_path / "reports" / "page"
    make_report([made], out)
    before = (out / "index.html").read_bytes()
    (out / "old.txt").write_text("of an earlier version")
    with monkeypatch.context() as patch:
        patch.setattr(evalsuite.report.page, "write_text", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make_report([made], out)
    assert names_in(out.parent) == ["page"]
    assert "old.txt" in names_in(out)
    make_report([made], out)
    assert (out / "index.html").read_bytes() == before
    assert names_in(out) == ["index.html", "leaderboard.csv"]
    for used in (made, made / "leaderboard.csv"):
        used.parent.mkdir(exist_ok=True)
        if used.suffix:
            used.write_text("a file")
        with pytest.raises(UsageError, match="is in use and holds no report"):
            make_report([made], used)


def test_the_command_writes_the_page_or_one_sentence(
    make_set: MakeSet,
    results: Results,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make_set(n=2)
    made = results(folder, model={})
    words = ["report", made, "--set", folder, "--out", tmp_path / "page", "--examples", 2]
    for sets, code, sentence in (
        ([], 0, f"The report is {tmp_path / 'page' / 'index.html'}.\n"),
        (["--set", made], 3, f"error: {made} is not a rendered set"),
    ):
        monkeypatch.setattr(sys, "argv", ["evalsuite", *map(str, [*words, *sets])])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert int(ended.value.code or 0) == code
        assert sentence in printed.out + printed.err
    assert len(Page(tmp_path / "page" / "index.html").sources("audio")) == 2 * 5


HOSTILE_NAMES = (HOSTILE, "../../outside", "x" * 5000, "шум 雑音 🎵", "a\u202eb\x1b[31m\n")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_stay_text(
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
    tmp_path: Path,
    name: str,
) -> None:
    """Names of the model, the set, the split and the talkers; ids of mixtures and estimates."""
    folder = make_set(n=2)
    estimates = make_estimates(folder)
    scores = ScoreFolder(make_scores(folder, estimates))
    (estimates / "run.json").unlink()
    scores.run = scores.run.model_copy(update={"model": name, "set": name, "split": name})
    known = {"label": name, "estimate": name}
    scores.items = [row.model_copy(update=known) for row in scores.items]
    scores.items[2:] = [row.model_copy(update={"id": name}) for row in scores.items[2:]]
    before = set(tmp_path.rglob("*"))
    made = make_report(
        [scores], tmp_path / "page", sets=[folder], estimates=[f"{name}={estimates}"]
    )
    page = Page(made)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert not set(tags) & {"iframe", "object", "form", "link"}
    assert not any(key.startswith("on") for _, attrs in page.elements for key in attrs)
    assert all(source.startswith("media/") for source in page.sources("img"))
    shown = name if len(name) <= 60 else f"{name[:59]}…"
    for code in "\u202e\x1b\n":
        shown = shown.replace(code, ascii(code)[1:-1])
    assert shown in page.text
    assert len(page.sources("audio")) == 3  # the estimates do not exist
    assert all(path.is_relative_to(made.parent) for path in set(tmp_path.rglob("*")) - before)
