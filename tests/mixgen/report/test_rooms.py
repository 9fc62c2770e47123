"""The table of rooms, against counted manifests."""

from pathlib import Path
from typing import Any

from mixgen.report import make_report
from tests.mixgen.report.conftest import Build, FactsOf, ManifestOf


def _simulated(
    name: str, size_m: list[float], t60_s: float, version: str = "1.0"
) -> dict[str, Any]:
    simulation = {
        "engine": "pyroomacoustics",
        "version": version,
        "size_m": size_m,
        "t60_s": t60_s,
        "microphones_m": [[1.0, 1.0, 1.0]],
    }
    return {"name": name, "simulation": simulation}


def _talker(build: Build, **room: Any) -> dict[str, Any]:
    return build.source("s1", "ann", build.event("1.wav"), room=room)


def _response(t60_s: float | None) -> dict[str, Any]:
    return {"corpus": "rirs", "path": "hall.wav", "sha256": "f" * 64, "t60_s": t60_s}


def test_rooms_are_counted_by_origin(build: Build, facts_of: FactsOf) -> None:
    standing = {"position_m": [1.0, 2.0, 1.0]}
    walking = {**standing, "to_m": [2.0, 2.0, 1.0]}
    facts = facts_of(
        build.mixture("train-0", _talker(build, **_response(0.4)), room={"name": "hall"}),
        build.mixture("train-1", _talker(build, **_response(None)), room={"name": "hall"}),
        build.mixture(
            "train-2", _talker(build, **standing), room=_simulated("a", [3, 5, 2.5], 0.3)
        ),
        build.mixture("train-3", _talker(build, **walking), room=_simulated("b", [4, 4, 2.5], 0.5)),
        build.mixture(
            "test-0",
            _talker(build, **standing),
            room=_simulated("c", [9, 9, 4], 0.9, version="2.0"),
        ),
        build.mixture("test-1", build.source("s1", "bob", build.event("2.wav"))),
    )
    from_files, first, second = facts["rooms"]
    assert from_files == {
        "engine": None,
        "version": None,
        "rooms": 1,
        "mixtures": 2,
        "walking_sources": 0,
        "size_m": None,
        "t60_s": [0.4, 0.4],
    }
    assert first == {
        "engine": "pyroomacoustics",
        "version": "1.0",
        "rooms": 2,
        "mixtures": 2,
        "walking_sources": 1,
        "size_m": [[3.0, 4.0], [4.0, 5.0], [2.5, 2.5]],
        "t60_s": [0.3, 0.5],
    }
    assert (second["version"], second["rooms"], second["t60_s"]) == ("2.0", 1, [0.9, 0.9])


def test_the_page_has_rooms_if_the_set_has(
    build: Build, manifest_of: ManifestOf, tmp_path: Path
) -> None:
    source = _talker(build, position_m=[1.0, 2.0, 1.0])
    inside = build.mixture("train-0", source, room=_simulated("a", [3, 5.25, 2.5], 0.3))
    page = make_report(manifest_of(inside), tmp_path).read_text()
    assert '<h2 id="rooms">' in page
    assert "simulated, pyroomacoustics 1.0" in page
    outside = build.mixture("train-0", build.source("s1", "ann", build.event("1.wav")))
    assert '<h2 id="rooms">' not in make_report(manifest_of(outside), tmp_path).read_text()
