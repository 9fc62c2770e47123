"""Which talker an estimate is nearest to."""

from collections.abc import Sequence

import numpy as np
import pytest

from evalsuite.metrics import ItemScores, evaluate
from evalsuite.metrics.extraction import wrong_talker
from evalsuite.metrics.outcome import Missing, Reason
from mixgen.core.vocabulary import Role
from mixgen.manifest.mixture import Mixture
from tests.evalsuite.conftest import FRAMES, RATE, record_of
from tests.evalsuite.metrics.conftest import Array

TALKERS = np.random.default_rng(0).standard_normal((3, 1, FRAMES))
NOBODY = np.random.default_rng(1).standard_normal((1, FRAMES))


def roles_of(roles: Sequence[Role], *, enrolled: bool) -> Mixture:
    """The record of talkers s1, s2, ... in these roles, the targets with an enrolment."""
    record = record_of("m", "test", {f"s{n}": "speech" for n in range(1, len(roles) + 1)})
    sources = [
        source.model_copy(
            update={
                "role": role,
                "enrolment": source.events[0] if enrolled and role == "target" else None,
            }
        )
        for source, role in zip(record.sources, roles, strict=True)
    ]
    targets = [source.name for source in sources if source.role == "target"]
    return record.model_copy(update={"sources": sources, "targets": targets})


def scored(
    estimates: Sequence[Array | None],
    roles: Sequence[Role] = ("target", "target"),
    *,
    named: bool = True,
    enrolled: bool = True,
) -> ItemScores:
    """Score estimates of the targets; talker number n is the source sn."""
    record = roles_of(roles, enrolled=enrolled)
    signal_of = {f"s{n + 1}": talker for n, talker in enumerate(TALKERS[: len(roles)])}
    return evaluate(
        references=[signal_of[name] for name in record.targets],
        estimates=estimates,
        mixture=TALKERS[: len(roles)].sum(axis=0),
        sample_rate=RATE,
        names=record.targets if named else None,
        metrics=["wrong_talker"],
        record=record,
        read=signal_of.__getitem__,
    )


def values(scores: ItemScores) -> list[float | None]:
    return [reference.values["wrong_talker"] for reference in scores.references]


def reasons(scores: ItemScores) -> list[str | None]:
    return [reference.reasons.get("wrong_talker") for reference in scores.references]


@pytest.mark.parametrize(
    ("weight", "expected"), [(0.0, 0.0), (0.9, 0.0), (1.1, 1.0), (-1.1, 1.0), (100.0, 1.0)]
)
@pytest.mark.parametrize("level", [1.0, 1e-160, 1e160])
def test_the_nearest_talker_is_that_of_the_highest_si_sdr(
    weight: float, expected: float, level: float
) -> None:
    """Talkers of one level that hardly correlate: the larger part decides, of either sign."""
    white = TALKERS - TALKERS.mean(axis=-1, keepdims=True)
    white /= np.linalg.norm(white, axis=-1, keepdims=True)
    estimate = level * (white[0] + weight * white[1] + 1e-3 * NOBODY)
    assert wrong_talker(talkers=TALKERS, asked=0, estimate=estimate) == expected


def test_swapped_talkers_are_all_wrong() -> None:
    assert values(scored([TALKERS[0], TALKERS[1]])) == [0.0, 0.0]
    assert values(scored([TALKERS[1], TALKERS[0]])) == [1.0, 1.0]
    assert values(scored([TALKERS[1], TALKERS[1]])) == [1.0, 0.0]


def test_interferers_are_talkers_too() -> None:
    assert values(scored([TALKERS[0]], ["target", "interferer"])) == [0.0]
    assert values(scored([TALKERS[1]], ["target", "interferer"])) == [1.0]


def test_the_mixture_is_nearer_to_one_of_two() -> None:
    """Also under a searched order: there is none among equal estimates."""
    mixture = TALKERS[:2].sum(axis=0)
    for named in (True, False):
        assert sorted(values(scored([mixture, mixture], named=named))) == [0.0, 1.0]


def test_a_system_that_is_not_told_whom_to_extract_has_no_value() -> None:
    found = reasons(scored([TALKERS[1], TALKERS[0]], named=False))
    assert found == ["not_applicable: the system gets no enrolment"] * 2
    roles: list[Role] = ["target", "interferer"]  # two outputs, and the better one is scored
    found = reasons(scored([TALKERS[1], TALKERS[0]], roles, named=False))
    assert found == ["not_applicable: the system gets no enrolment"]


def test_failures_count_as_the_wrong_talker() -> None:
    """By the floor of the metric: silence and missing estimates are failures."""
    found = reasons(scored([0 * TALKERS[0], None]))
    assert found == ["silent_estimate", "missing_estimate"]
    constant = wrong_talker(talkers=TALKERS, asked=0, estimate=np.full((1, FRAMES), 0.3))
    assert constant == Missing(Reason.SILENT_ESTIMATE)


def test_where_there_is_no_value() -> None:
    without = reasons(scored([TALKERS[0], TALKERS[1]], enrolled=False))
    assert without == ["not_applicable: no enrolment names the target"] * 2
    alone = reasons(scored([TALKERS[0]], ["target"]))
    assert alone == ["not_applicable: no other talker in the mixture"]
    silent = wrong_talker(talkers=0 * TALKERS, asked=0, estimate=NOBODY)
    assert silent == Missing(Reason.SILENT_REFERENCE)
