"""Echo sets: the far-end signal through amplifier, loudspeaker, delay and room, and beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError
from scipy.signal import lfilter

from mixgen.acoustics.echo_path import Echo, EchoRule, Loudspeaker
from mixgen.audio.formats import FORMATS
from mixgen.audio.levels import active_energy_db, integrated_lufs
from mixgen.core.errors import InputError
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.jams import write_jams
from mixgen.manifest.file import read_manifest, write_manifest
from mixgen.manifest.mixture import Level, Mixture, Source
from mixgen.recipe.schema import Recipe
from mixgen.render.mixture import SourceRenderer, render
from mixgen.render.set import render_set
from mixgen.sets.rendered import RenderedSet, open_rendered
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Contents, Corpus, DrawTo, MakeRecipe

RATE = 16000
PRESENT = ["choose_weighted", [0, 1], [0.25, 0.75]]
NEAR = {"name": "near", "kind": "speech", "count": PRESENT, "label_share": [0, 0.5]}
FAR = {
    "name": "echo",
    "role": "far_end",
    "kind": "speech",
    "count": PRESENT,
    "label_share": [0.5, 1],
    "snr": ["uniform", -10, 10],
    "echo": {"delay_s": ["uniform", 0, 0.1], "nonlinear": 0.5},
}
NOISE = {"name": "noise", "role": "background", "kind": "noise", "use": "independently"}
BENT = Loudspeaker(linear=1.5, quadratic=-0.3, positive_slope=4.0, negative_slope=0.5)


def echo_recipe(
    speech_recipe: MakeRecipe, *, mixtures: int = 6, far: dict[str, Any] | None = None, **more: Any
) -> Recipe:
    """Near end, echo and noise, all in one split."""
    splits = {"train": {"mixtures": mixtures, "sources": {}}}
    return speech_recipe(sources=[NEAR, FAR | (far or {}), NOISE], splits=splits, **more)


def only_echo(speech_recipe: MakeRecipe, **far: Any) -> Recipe:
    """One echo of one excerpt without fades, at 16 kHz, the rate of the files."""
    group = {key: value for key, value in FAR.items() if key != "count"} | far
    splits = {"train": {"mixtures": 1, "sources": {}}}
    return speech_recipe(
        sources=[group], splits=splits, sample_rate=RATE, fade_s=0.0, format="wav_float"
    )


def echo_of(mixture: Mixture) -> tuple[Source, Echo]:
    (source,) = (source for source in mixture.sources if source.role == "far_end")
    assert source.echo is not None
    return source, source.echo


def closed_box(samples: np.ndarray, low_hz: float) -> np.ndarray:
    """High-pass of second order with Q = 1 / sqrt(2), by the formulas of R. Bristow-Johnson."""
    angle = 2 * np.pi * low_hz / RATE
    alpha, cosine = np.sin(angle) / np.sqrt(2), np.cos(angle)
    b = np.array([1 + cosine, -2 * (1 + cosine), 1 + cosine]) / 2
    return lfilter(b, [1 + alpha, -2 * cosine, 1 - alpha], samples)


def test_the_loudspeaker_is_the_sigmoid_of_the_paper() -> None:
    samples = np.linspace(-1, 1, 201)
    expected = []
    for x in samples:
        b = 1.5 * x - 0.3 * x**2
        a = 4.0 if b > 0 else 0.5
        expected.append(2 / (1 + np.exp(-a * b)) - 1)
    np.testing.assert_allclose(BENT.apply(samples), expected, atol=1e-15)


def test_the_amplifier_clips_at_a_share_of_the_peak() -> None:
    far_end = np.array([[0.0, 0.05, -0.1, 0.2, -0.18]])
    clipped = Echo(delay_s=0, far_end_db=-25, amplifier_clip=0.8).sound_of(far_end, RATE)
    np.testing.assert_allclose(clipped, [[0.0, 0.25, -0.5, 0.8, -0.8]])
    both = Echo(delay_s=0, far_end_db=-25, amplifier_clip=0.8, loudspeaker=BENT)
    np.testing.assert_array_equal(both.sound_of(far_end, RATE), BENT.apply(clipped))
    np.testing.assert_allclose(
        both.sound_of(100 * far_end, RATE), both.sound_of(far_end, RATE), rtol=1e-12
    )
    assert not both.sound_of(np.zeros((1, 8)), RATE).any()


def test_no_swell_is_left_of_a_bent_tone() -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)[None]
    bent = Echo(delay_s=0, far_end_db=-25, loudspeaker=BENT)
    boxed = bent.model_copy(update={"low_hz": 100.0})
    swells = [abs(echo.sound_of(tone, RATE)[:, RATE // 2 :].mean()) for echo in (bent, boxed)]
    assert swells[0] > 0.2
    assert swells[1] < 1e-6
    np.testing.assert_allclose(
        boxed.sound_of(tone, RATE), closed_box(bent.sound_of(tone, RATE), 100), atol=1e-12
    )


def test_steep_loudspeakers_overflow_nowhere() -> None:
    steep = Loudspeaker(linear=100, quadratic=0, positive_slope=100, negative_slope=100)
    np.testing.assert_array_equal(steep.apply(np.array([-1.0, 0.0, 1.0])), [-1.0, 0.0, 1.0])


def test_a_linear_echo_is_the_far_end_delayed(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    rule = {"delay_s": ["const", 0.0125], "nonlinear": 0, "low_hz": None}
    recipe = only_echo(speech_recipe, echo=rule, event_time=["const", 0.1])
    (mixture,) = draw_mixtures(recipe, corpus.rows, corpus.roots)
    source, echo = echo_of(mixture)
    assert (echo.amplifier_clip, echo.loudspeaker) == (None, None)
    image, far_end = SourceRenderer(mixture, source, corpus.roots).signals().values()
    samples, _ = soundfile.read(corpus.roots["speech"] / source.events[0].path)
    begin = round(0.1 * RATE)
    sent = far_end[0, begin : begin + len(samples)]
    np.testing.assert_allclose(sent / np.abs(sent).max(), samples[: len(sent)] / abs(samples).max())
    assert not far_end[:, :begin].any()
    gain = np.abs(image).max() / np.abs(far_end).max()
    np.testing.assert_allclose(image[:, 200:], gain * far_end[:, :-200], atol=1e-12)
    assert not image[:, :200].any()


@pytest.mark.parametrize("channels", [1, 2])
def test_an_echo_in_a_room_is_the_bent_far_end_through_its_response(
    roomy: Corpus, speech_recipe: MakeRecipe, channels: int
) -> None:
    recipe = only_echo(speech_recipe, echo={"delay_s": ["const", 0.02], "low_hz": ["const", 150]})
    recipe = Recipe.model_validate(
        recipe.model_dump(exclude_defaults=True) | {"rooms": {}, "channels": channels}
    )
    (mixture,) = draw_mixtures(recipe, roomy.rows, roomy.roots)
    source, echo = echo_of(mixture)
    assert (echo.amplifier_clip, echo.loudspeaker) == (0.8, BENT)
    assert source.room is not None
    image, far_end = SourceRenderer(mixture, source, roomy.roots).signals().values()
    assert image.shape == far_end.shape == (channels, mixture.frames)
    response, _ = soundfile.read(roomy.roots["rooms"] / source.room.path)
    x = np.clip(far_end[0] / np.abs(far_end[0]).max(), -0.8, 0.8)
    b = 1.5 * x - 0.3 * x**2
    sound = 2 / (1 + np.exp(-np.where(b > 0, 4.0, 0.5) * b)) - 1
    late = np.concatenate([np.zeros(320), closed_box(sound, 150)])
    expected = np.stack([np.convolve(late, response[:, c])[: mixture.frames] for c in (0, 1)])
    gain = np.vdot(image, expected[:channels]) / np.vdot(expected[:channels], expected[:channels])
    np.testing.assert_allclose(image, gain * expected[:channels], atol=1e-9)
    np.testing.assert_array_equal(far_end[0], far_end[-1])


def test_levels_of_echo_and_far_end(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    rule = {"far_end_db": ["const", -30]}
    recipe = only_echo(speech_recipe, echo=rule, level_rule="active_energy", snr=["const", -4])
    (mixture,) = draw_mixtures(recipe, corpus.rows, corpus.roots)
    source, _ = echo_of(mixture)
    image, far_end = SourceRenderer(mixture, source, corpus.roots).signals().values()
    length = int(source.events[0].event_duration * RATE)
    assert active_energy_db(image[:, :length], RATE) == pytest.approx(-36, abs=1e-6)
    assert active_energy_db(far_end[:, :length], RATE) == pytest.approx(-30, abs=1e-6)


def test_a_loud_echo_leaves_the_far_end_alone(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    (quiet,) = draw_mixtures(only_echo(speech_recipe), corpus.rows, corpus.roots)
    loud = quiet.model_copy(update={"level": Level(reference_db=20)})
    files = [render(m, corpus.roots, FORMATS["wav_float"]) for m in (quiet, loud)]
    assert files[0].clip_gain == 1.0 > files[1].clip_gain
    assert np.abs(files[1].mixture).max() == pytest.approx(0.9, abs=1e-4)
    far_ends = [rendering.stems["echo_far_end"] for rendering in files]
    np.testing.assert_array_equal(*far_ends)
    sent = far_ends[0][:, : int(quiet.sources[0].events[0].event_duration * RATE)]
    assert integrated_lufs(sent, RATE) == pytest.approx(-25, abs=0.01)


def test_a_far_end_at_full_scale_is_limited_by_itself(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    recipe = only_echo(speech_recipe, echo={"far_end_db": ["const", 0]})
    (mixture,) = draw_mixtures(recipe, corpus.rows, corpus.roots)
    rendering = render(mixture, corpus.roots, FORMATS["wav16"])
    assert rendering.clip_gain == 1.0
    assert np.abs(rendering.stems["echo_far_end"]).max() == pytest.approx(0.9, abs=1e-4)


def test_paths_are_drawn_and_ends_never_share_a_talker(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    recipe = echo_recipe(speech_recipe, mixtures=80)
    mixtures = list(draw_mixtures(recipe, corpus.rows, corpus.roots))
    echoes = [s.echo for m in mixtures for s in m.sources if s.echo is not None]
    assert len({echo.delay_s for echo in echoes}) == len(echoes) > 40
    assert all(0 <= echo.delay_s <= 0.1 for echo in echoes)
    assert 15 < sum(echo.loudspeaker is not None for echo in echoes) < 50
    talkers = {
        role: {s.label for m in mixtures for s in m.sources if s.role == role}
        for role in ("target", "far_end")
    }
    assert all(talkers.values())
    assert talkers["target"].isdisjoint(talkers["far_end"])


def rendered(recipe: Recipe, corpus: Corpus, draw_to: DrawTo, folder: Path) -> RenderedSet:
    path = folder / "manifest.jsonl"
    draw_to(path, recipe)
    assert render_set(path, folder / "set", roots=corpus.roots).failures == []
    return RenderedSet(folder / "set")


def test_echo_sets_on_disk(
    corpus: Corpus, speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    recipe = echo_recipe(speech_recipe, mixtures=12, format="wav16")
    path = tmp_path / "manifest.jsonl"
    draw_to(path, recipe)
    outcome = render_set(path, tmp_path / "set", roots=corpus.roots)
    assert outcome.failures == []
    assert verify_set(tmp_path / "set", deep=True) == []
    done = RenderedSet(tmp_path / "set")
    kinds = set()
    for mixture in done.mixtures():
        names = [source.name for source in mixture.sources]
        kinds.add(("near" in names, "echo" in names))
        assert mixture.targets == (["near"] if "near" in names else [])
        files = {file.stem for file in (done.folder / mixture.id).iterdir()}
        far_end = {"echo_far_end"} if "echo" in names else set()
        assert files == {"mixture", *names} | far_end
    assert kinds >= {(True, True), (False, True), (True, False)}
    for row in open_rendered(tmp_path / "set"):
        if row.name in ("echo", "echo_far_end") and row.measured["level_db"] is not None:
            assert row.measured["level_db"] == pytest.approx(row.requested["level_db"], abs=1.0)


def test_any_order_gives_the_same_files(
    corpus: Corpus,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
    contents: Contents,
    tmp_path: Path,
) -> None:
    recipe = echo_recipe(speech_recipe, far={"use": "independently"})
    whole = rendered(recipe, corpus, draw_to, tmp_path / "whole")
    header, mixtures = whole.manifest.header, whole.manifest.mixtures
    path = tmp_path / "backwards.jsonl"
    write_manifest(path, header, reversed(mixtures))
    render_set(path, tmp_path / "backwards", roots=corpus.roots)
    for mixture in mixtures:
        assert contents(whole.folder / mixture.id) == contents(tmp_path / "backwards" / mixture.id)


def test_a_conversation_at_the_far_end_has_one_echo_path(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    turns = {"utterances": 3, "silence": ["const", 0.1]}
    rule = {"delay_s": ["const", 0.01], "nonlinear": 0, "low_hz": None}
    recipe = only_echo(speech_recipe, echo=rule, turns=turns)
    recipe = recipe.model_copy(
        update={"duration": recipe.duration.model_copy(update={"seconds": 3.0})}
    )
    (mixture,) = draw_mixtures(recipe, corpus.rows, corpus.roots)
    source, _ = echo_of(mixture)
    assert len(source.events) == 3
    image, far_end = SourceRenderer(mixture, source, corpus.roots).signals().values()
    gain = np.abs(image).max() / np.abs(far_end).max()
    np.testing.assert_allclose(image[:, 160:], gain * far_end[:, :-160], atol=1e-12)


def test_an_echo_that_comes_after_the_end_is_silent(
    corpus: Corpus, speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    rule = {"delay_s": ["const", 0.9]}
    done = rendered(only_echo(speech_recipe, echo=rule), corpus, draw_to, tmp_path)
    assert verify_set(done.folder, deep=True) == []
    assert not done.load_mixture("train-000000").any()


def test_an_event_after_the_end_adds_nothing(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    (mixture,) = draw_mixtures(only_echo(speech_recipe), corpus.rows, corpus.roots)
    source, _ = echo_of(mixture)
    late = source.events[0].model_copy(update={"event_time": 2.0})
    late_only, both = (
        SourceRenderer(
            mixture, source.model_copy(update={"events": events}), corpus.roots
        ).signals()
        for events in ([late], [*source.events, late])
    )
    assert not any(signal.any() for signal in late_only.values())
    expected = SourceRenderer(mixture, source, corpus.roots).signals()
    np.testing.assert_array_equal(list(both.values()), list(expected.values()))


def refusal(speech_recipe: MakeRecipe, sources: list[dict[str, Any]], **more: Any) -> str:
    with pytest.raises(ValidationError) as error:
        speech_recipe(sources=sources, **more)
    return str(error.value)


def test_recipes_that_make_no_sense(speech_recipe: MakeRecipe) -> None:
    needs = "`echo` belongs to the role far_end, which needs it"
    assert needs in refusal(speech_recipe, [NEAR | {"echo": {}}])
    assert needs in refusal(speech_recipe, [FAR | {"echo": None}])
    assert "less than or equal to 1" in refusal(speech_recipe, [FAR | {"echo": {"nonlinear": 2}}])
    assert "must begin below its end" in refusal(speech_recipe, [NEAR | {"label_share": [1, 0]}])


@pytest.mark.parametrize(
    ("name", "rooms"), [("echo_far_end", None), ("Echo_Far_End", None), ("near_dry", ["dry"])]
)
def test_names_that_clash_with_a_reference(
    speech_recipe: MakeRecipe, name: str, rooms: list[str] | None
) -> None:
    other = {"name": name, "kind": "noise"}
    room_rule = {"rooms": {"references": rooms}} if rooms else {}
    message = refusal(speech_recipe, [NEAR, FAR, other], **room_rule)
    assert "two sources have one name, or one has that of a reference" in message


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"delay_s": ["const", -0.1]}, "delay_s: Input should be greater than or equal to 0"),
        ({"amplifier_clip": ["const", 1.5]}, "amplifier_clip: Input should be less than or equal"),
        ({"loudspeaker": {"positive_slope": ["const", 0]}}, "positive_slope: Input should be"),
        ({"far_end_db": ["const", 3]}, "far_end_db: Input should be less than or equal to 0"),
    ],
)
def test_draws_that_no_echo_takes(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=f"A draw for an echo is not allowed .{words}"):
        EchoRule.model_validate(rule).draw(seed=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"role": "target"}, "belongs to the role far_end"),
        ({"references": ["dry"]}, "are parts of a room response"),
    ],
)
def test_records_that_make_no_sense(
    corpus: Corpus, speech_recipe: MakeRecipe, changes: dict[str, Any], words: str
) -> None:
    (mixture,) = draw_mixtures(only_echo(speech_recipe), corpus.rows, corpus.roots)
    with pytest.raises(ValidationError, match=words):
        Source.model_validate(mixture.sources[0].as_dict() | changes)


def test_an_echo_survives_the_manifest(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = echo_recipe(speech_recipe)
    mixtures = list(draw_mixtures(recipe, corpus.rows, corpus.roots))
    write_manifest(tmp_path / "m.jsonl", draw_header(recipe, corpus.rows), mixtures)
    assert read_manifest(tmp_path / "m.jsonl").mixtures == mixtures


def test_scaper_has_no_echo(corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = only_echo(speech_recipe)
    mixture = next(iter(draw_mixtures(recipe, corpus.rows, corpus.roots)))
    with pytest.raises(InputError, match="has an echo"):
        write_jams(tmp_path / "x.jams", mixture, corpus.roots)
