"""Recipes: what is refused, in which words, and what changes a mixture."""

from collections import Counter
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import ValidationError

from mixgen.core.errors import InputError
from mixgen.manifest.file import read_manifest
from mixgen.recipe.read import find_recipe, read_recipe, shipped_folder
from tests.mixgen.conftest import MakeRecipe

RECIPE = """\
name: tiny
task: speech_separation
sample_rate: 8000
duration: {mode: fixed, seconds: 1}
sources:
  - name: s
    kind: speech
    snr: [uniform, 0, 5]
splits:
  test: {mixtures: 2, sources: test}
"""


class Refusal(Protocol):
    """Reads the recipe with `old` replaced by `new`; returns the reason why it is refused."""

    def __call__(self, old: str, new: str) -> str: ...


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """Refuse a recipe of one wrong value."""

    def read(old: str, new: str) -> str:
        assert old in RECIPE
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE.replace(old, new))
        with pytest.raises(InputError) as error:
            read_recipe(path)
        return str(error.value).removeprefix(str(path)).strip()

    return read


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    recipe = read_recipe(path)
    assert recipe.sources[0].snr == ["uniform", 0, 5]
    assert recipe.format == "flac16"


def test_every_shipped_recipe_is_valid() -> None:
    names = [path.parent.name for path in shipped_folder().glob("*/recipe.yaml")]
    assert {"starter_2mix", "starter_music"} <= set(names)
    assert [read_recipe(find_recipe(name)).name for name in names] == names


def test_every_shipped_set_has_a_card_and_is_listed() -> None:
    listed = (shipped_folder() / "README.md").read_text()
    for path in shipped_folder().glob("*/*.yaml"):
        assert f"`{path.parent.name}`" in listed
        assert (path.parent / "card.md").read_text().startswith(f"# {path.parent.name}\n")


def test_shipped_manifests_are_of_the_shipped_recipes() -> None:
    manifests = sorted(shipped_folder().glob("*/manifest.jsonl"))
    assert {"starter_2mix", "starter_music"} <= {path.parent.name for path in manifests}
    for path in manifests:
        manifest, recipe = read_manifest(path), read_recipe(path.with_name("recipe.yaml"))
        assert manifest.header.recipe_sha256 == recipe.sha256
        drawn = Counter(mixture.split for mixture in manifest.mixtures)
        assert drawn == {split: rule.mixtures for split, rule in recipe.splits.items()}


def test_a_default_spelled_out_changes_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    brief = read_recipe(path)
    path.write_text(RECIPE + "format: flac16\nsongs: {coherent: 1}\nclip: {peak: 0.9}\n")
    assert read_recipe(path).sha256 == brief.sha256
    path.write_text(RECIPE + "format: flac24\n")
    assert read_recipe(path).sha256 != brief.sha256


def test_unknown_shipped_recipe() -> None:
    with pytest.raises(InputError, match=r"neither a recipe file nor a shipped set \(.*starter_2"):
        find_recipe("starter_3mix")


def test_unknown_key_with_line_and_nearest_name(refusal: Refusal) -> None:
    assert refusal("sample_rate", "samplerate") == (
        "line 3: the key 'samplerate' is not known (did you mean 'sample_rate'?)."
    )
    assert refusal("    snr:", "    snrs:") == (
        "line 8: the key 'snrs' is not known (did you mean 'snr'?)."
    )


@pytest.mark.parametrize(
    ("distribution", "words"),
    [
        ("[gauss, 0, 1]", "'gauss' is not a distribution: use one of const, choose"),
        ("[uniform, 0]", "uniform takes 2 argument(s), not 1"),
        ("[uniform, 5, 0]", "uniform needs its lower bound first"),
        ("[uniform, [1], 2]", "[1] is not a finite number"),
        ("[const, loud]", "'loud' is not a finite number"),
        ("[choose, 3]", "the arguments of choose must be lists"),
        ("[choose, []]", "choose needs at least one value to choose from"),
        ("[choose, [1, 2, 1]]", "choose names a value twice: give weights with choose_weighted"),
        ("[choose_weighted, [1, 2], [1]]", "choose_weighted needs as many weights as values"),
        ("[choose_weighted, [1, 2], [0.5, 0.6]]", "must be 0 or more and add up to 1"),
        ("[choose_weighted, [1, 2], [-0.5, 1.5]]", "must be 0 or more and add up to 1"),
        ("[normal, 0, -1]", "the standard deviation of normal cannot be negative"),
        ("[truncnorm, 0, 1, 3, 2]", "truncnorm needs a lower bound below its upper bound"),
        ("[const, .inf]", "inf is not a finite number"),
        ("[choose, [1, .nan]]", "nan is not a finite number"),
        ("3", "should be a valid list"),
        ("[]", "at least 2 items"),
    ],
)
def test_wrong_distributions(refusal: Refusal, distribution: str, words: str) -> None:
    message = refusal("[uniform, 0, 5]", distribution)
    assert words in message
    assert message.startswith("line 8: ")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mixtures: 2", "mixtures: 0", "greater than or equal to 1"),
        ("mixtures: 2", "mixtures: 1000000000000", "less than or equal to 10000000"),
        ("8000", "4000", "greater than or equal to 8000"),
        ("8000", "96000", "less than or equal to 48000"),
        ("seconds: 1", "seconds: 0", "greater than or equal to 0.01"),
        ("seconds: 1", "seconds: 1.0e+9", "less than or equal to 3600"),
        ("fixed, seconds: 1", "min, seconds: 1", "`seconds` belongs to the mode fixed"),
        ("fixed, seconds: 1", "max, limit_s: -1", "greater than or equal to 0.01"),
        ("name: s\n", "name: mixture\n", "a source cannot be called 'mixture'"),
        ("name: s\n", "name: ../s\n", "The name '../s' is not allowed"),
        ("  test:", "  a/b:", "The name 'a/b' is not allowed"),
        ("kind: speech", "kind: voice", "'speech', 'music', 'noise'"),
        ("kind: speech", "kind: music\n    count: 2", "a music group is one stem"),
        ("kind: speech", "kind: speech\n    count: 33", "a whole number from 0 to 32"),
        (
            "kind: speech\n    snr: [uniform, 0, 5]",
            "kind: speech\n    role: background",
            "a source that is not background",
        ),
        ("kind: speech", "kind: speech\n    role: background", "all the time: leave snr out"),
        ("kind: speech", "kind: speech\n    use: twice", "'once', 'independently' or"),
        ("kind: speech", "kind: speech\n    salient: 0", "greater than 0"),
        ("kind: speech", "kind: speech\n    turns: {utterances: 0}", "at least one utterance"),
        ("name: s\n", f"name: {'s' * 151}\n", "a name of 151 letters is too long"),
        ("  test:", f"  {'t' * 151}:", "a name of 151 letters is too long"),
        (
            "  test:",
            "  Test: {mixtures: 1, sources: test}\n  test:",
            "two splits have names that differ in case alone",
        ),
        ("splits:", "songs: {coherent: 0}\nsplits:", "the recipe has none"),
        (
            "kind: speech",
            "kind: music\n    use: once",
            "`use` of `songs` decides how often songs come",
        ),
        ("splits:", "rooms: {roles: []}\nsplits:", "at least 1 item"),
        (
            "splits:",
            "rooms: {use: once, simulate: {size_m: [[const, 4], [const, 4], [const, 3]], "
            "t60_s: [const, 0.2]}}\nsplits:",
            "`use` is for rooms from files",
        ),
        ("sample_rate: 8000", "sample_rate: 8000\nsample_rate: 16000", "line 4: the key 'sample_r"),
        ("8000", "9" * 5000, "is not valid YAML"),
        ("splits:\n  test: {mixtures: 2, sources: test}", "splits: {}", "at least 1 item"),
        ("mixtures: 2", "mixtures: true", "line 10: YAML reads 'true' as true or false: give a"),
        ("[uniform, 0, 5]", "[uniform, no, 5]", "line 8: YAML reads 'no' as true or false"),
        ("kind: speech", "kind: speech\n    labels: [on, off]", "YAML reads 'on' as true or false"),
        ("splits:", "seed: yes\nsplits:", "line 9: YAML reads 'yes' as true or false"),
        ("splits:", f"seed: 0x{'f' * 9000}\nsplits:", "less than 18446744073709551616"),
        (
            "kind: speech",
            'kind: speech\n    labels: ["\\ud800"]',
            "line 8: '\\ud800' has half of a character",
        ),
        ("name: tiny", 'name: "\\udfff"', "line 1: '\\udfff' has half of a character"),
        ("0, 5]", f"0, {'x' * 9000}]", f"'{'x' * 79}... is not a finite number"),
        ("0, 5]", f"0, 0x{'f' * 9000}]", "an integer of thousands of digits is not a finite"),
        (RECIPE, "- a\n- b\n", "should be a list of `key: value` lines"),
        (RECIPE, "", "should be a list of `key: value` lines"),
    ],
)
def test_wrong_values(refusal: Refusal, old: str, new: str, words: str) -> None:
    assert words in refusal(old, new)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"songs": {"match": {}}}, "give `coherent` below 1"),
        ({"songs": {"coherent": 0, "match": {"unpitched": ["gong"]}}}, "'gong', which is no music"),
    ],
)
def test_wrong_matches(music_recipe: MakeRecipe, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        music_recipe(**change)


def test_the_line_of_the_group_that_is_wrong(refusal: Refusal) -> None:
    second = "  - name: t\n    kind: speech\n    snr: [loud, 0]\nsplits:"
    assert refusal("splits:", second).startswith("line 11: ")
    assert refusal("splits:", "  - kind: noise\nsplits:").startswith("line 9: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: *x\n", r"uses a YAML alias \(\*name\): write the value out"),
        ("a: [1\nb: 2\n", r"line 2 is not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "is not valid YAML"),
        ("{a: " * 10_000, r"line 1 is nested more than 50 levels deep: write it flatter"),
        ("name: x\ntask: " + "[" * 40_000, r"line 2 is nested more than 50 levels deep"),
        ("- " * 20_000, r"line 1 is nested more than 50 levels deep"),
        ("? " * 20_000, r"line 1 is nested more than 50 levels deep"),
        ("[" * 1500, r"line 1 is nested more than 50 levels deep: write it flatter"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_recipe(path)


def test_a_huge_file_is_not_even_parsed(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("#" * (2 << 20))
    with pytest.raises(InputError, match="larger than 128 KiB"):
        read_recipe(path)


@pytest.mark.parametrize("names", [("s", "s"), ("s", "S")])
def test_two_groups_of_one_name(speech_recipe: MakeRecipe, names: list[str]) -> None:
    groups = [{"name": name, "kind": "speech"} for name in names]
    with pytest.raises(ValidationError, match="two sources have one name"):
        speech_recipe(sources=groups)


def test_groups_that_share_a_name_but_no_source(speech_recipe: MakeRecipe) -> None:
    groups = [{"name": "s", "kind": "speech", "count": count} for count in (1, 2)]
    with pytest.raises(ValidationError, match="two sources have one name"):
        speech_recipe(sources=groups)


def test_what_changes_a_scene(speech_recipe: MakeRecipe) -> None:
    base = speech_recipe()
    longer = {"train": {"mixtures": 9, "sources": {"speech": "train"}}, "test": base.splits["test"]}
    for change in ({"seed": 5}, {"splits": longer}, {"sample_rate": 16000}, {"fade_s": 0.02}):
        same = speech_recipe(**change)
        assert same.scene_sha256 == base.scene_sha256
        assert same.sha256 != base.sha256
    louder = [{"name": "s", "kind": "speech", "snr": ["const", 3]}]
    assert speech_recipe(sources=louder).scene_sha256 != base.scene_sha256
