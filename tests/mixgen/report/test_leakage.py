"""Leakage between splits is found and named; what splits share by design is no leakage."""

from typing import Any

from tests.mixgen.report.conftest import Build, FactsOf


def _pair(facts: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(pair for pair in facts["leakage"]["pairs"] if pair["kind"] == kind)


def _kinds_that_leak(facts: dict[str, Any]) -> set[str]:
    return {pair["kind"] for pair in facts["leakage"]["pairs"] if pair["leak"]}


def test_talker_in_two_splits(build: Build, facts_of: FactsOf) -> None:
    facts = facts_of(
        build.mixture("train-0", build.source("s1", "ann", build.event("1.wav"))),
        build.mixture("train-1", build.source("s1", "bob", build.event("2.wav"))),
        build.mixture("test-0", build.source("s1", "ann", build.event("3.wav"))),
    )
    assert _pair(facts, "talkers") == {
        "splits": ["train", "test"],
        "kind": "talkers",
        "in_each": [2, 1],
        "shared": 1,
        "leak": True,
        "names": ["corpus/ann"],
    }
    assert _kinds_that_leak(facts) == {"talkers"}
    assert facts["findings"][0] == {
        "severity": "error",
        "text": "Leakage: 1 talker is in both train and test: corpus/ann.",
        "section": "leakage",
        "mixture": None,
    }


def test_splits_that_share_nothing_are_a_good_finding(build: Build, facts_of: FactsOf) -> None:
    facts = facts_of(
        build.mixture("train-0", build.source("s1", "ann", build.event("1.wav"))),
        build.mixture("test-0", build.source("s1", "bob", build.event("2.wav"))),
    )
    assert not facts["leakage"]["found"]
    assert facts["findings"][0] == {
        "severity": "good",
        "text": "No leakage: no talkers and no files are in two splits.",
        "section": "leakage",
        "mixture": None,
    }


def test_tests_may_share_talkers(build: Build, facts_of: FactsOf) -> None:
    facts = facts_of(
        build.mixture("test-0", build.source("s1", "ann", build.event("1.wav"))),
        build.mixture("test_more-0", build.source("s1", "ann", build.event("2.wav"))),
    )
    assert facts["findings"][0] == {
        "severity": "good",
        "text": "No leakage: no talkers and no files are in two splits, except in tests.",
        "section": "leakage",
        "mixture": None,
    }


def test_one_label_in_two_corpora_is_two_talkers(build: Build, facts_of: FactsOf) -> None:
    facts = facts_of(
        build.mixture("train-0", build.source("s1", "1", build.event("1.wav", corpus="a"))),
        build.mixture("test-0", build.source("s1", "1", build.event("2.wav", corpus="b"))),
    )
    assert not facts["leakage"]["found"]


def test_copied_file_is_known_by_its_content(build: Build, facts_of: FactsOf) -> None:
    facts = facts_of(
        build.mixture("train-0", build.source("s1", "ann", build.event("z.wav", sha256="a" * 64))),
        build.mixture("test-0", build.source("s1", "bob", build.event("b.wav", sha256="a" * 64))),
    )
    assert _kinds_that_leak(facts) == {"files"}
    assert _pair(facts, "files")["names"] == ["corpus/z.wav"]


def test_classes_of_noise_may_be_shared(build: Build, facts_of: FactsOf) -> None:
    facts = facts_of(
        build.mixture("train-0", build.source("n", "rain", build.event("1.wav"), kind="noise")),
        build.mixture("test-0", build.source("n", "rain", build.event("2.wav"), kind="noise")),
    )
    assert not facts["leakage"]["found"]
    shared = _pair(facts, "noise labels")
    assert (shared["shared"], shared["leak"], shared["names"]) == (1, False, ["corpus/rain"])


def _stem(build: Build, song: str, label: str) -> dict[str, Any]:
    event = build.event(f"{song}/{label}.wav")
    stem: dict[str, Any] = build.source(label, label, event, kind="music")
    return stem


def test_stems_of_one_song_in_two_splits(build: Build, facts_of: FactsOf) -> None:
    facts = facts_of(
        build.mixture("train-0", _stem(build, "song1", "drums"), _stem(build, "song2", "bass")),
        build.mixture("test-0", _stem(build, "song1", "bass"), _stem(build, "song3", "drums")),
    )
    assert _kinds_that_leak(facts) == {"songs"}
    assert _pair(facts, "songs")["names"] == ["corpus/song1"]


def test_folder_of_one_label_is_no_song(build: Build, facts_of: FactsOf) -> None:
    def piece(name: str) -> dict[str, Any]:
        found: dict[str, Any] = build.source(
            "m", "jazz", build.event(f"jazz/{name}.wav"), kind="music"
        )
        return found

    facts = facts_of(build.mixture("train-0", piece("1")), build.mixture("test-0", piece("2")))
    assert not facts["leakage"]["found"]


def test_room_in_two_splits(build: Build, facts_of: FactsOf) -> None:
    facts = facts_of(
        build.mixture("train-0", room={"name": "hall"}),
        build.mixture("valid-0", room={"name": "hall"}),
        build.mixture("test-0", room={"name": "cellar"}),
    )
    leaks = [pair for pair in facts["leakage"]["pairs"] if pair["leak"]]
    assert [(pair["splits"], pair["names"]) for pair in leaks] == [(["train", "valid"], ["hall"])]


def test_response_in_two_splits(build: Build, facts_of: FactsOf) -> None:
    def through(split: str, talker: str) -> Any:
        response = {"corpus": "rirs", "path": "hall.wav", "sha256": "f" * 64}
        source = build.source("s1", talker, build.event(f"{talker}.wav"), room=response)
        return build.mixture(f"{split}-0", source, room={"name": f"room of {split}"})

    facts = facts_of(through("train", "ann"), through("test", "bob"))
    assert _kinds_that_leak(facts) == {"files"}
    assert _pair(facts, "files")["names"] == ["rirs/hall.wav"]


def test_order_of_mixtures_does_not_matter(build: Build, facts_of: FactsOf) -> None:
    copies = [build.source("s1", "ann", build.event(p, sha256="a" * 64)) for p in ("x", "y")]
    mixtures = [build.mixture(f"train-{n}", copy) for n, copy in enumerate(copies)]
    test = build.mixture("test-0", copies[0])
    forwards = facts_of(*mixtures, test)["leakage"]
    assert forwards == facts_of(*mixtures[::-1], test)["leakage"]
    assert forwards["found"]
