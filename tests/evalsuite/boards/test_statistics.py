"""Intervals and tests against SciPy, published examples and simulation."""

import numpy as np
import pytest
from scipy import stats

from evalsuite.boards.statistics import FEW, holm, mean_interval, median_interval, wilcoxon_p


def test_interval_of_many_values_is_scipys_percentile_bootstrap() -> None:
    sample = np.random.default_rng(3).gamma(2.0, size=400)
    theirs = stats.bootstrap(
        (sample,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert mean_interval(sample) == pytest.approx(tuple(theirs), abs=0.01)


def test_interval_of_few_values_is_scipys_student_interval() -> None:
    sample = np.array([0.1, -0.4, 1.2, 0.3])
    theirs = stats.ttest_1samp(sample, 0.0).confidence_interval(0.95)
    assert mean_interval(sample) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("n", [3, FEW, 12, 40])
def test_interval_includes_the_true_mean_19_times_of_20(n: int) -> None:
    generator = np.random.default_rng(11)
    intervals = [mean_interval(generator.standard_normal(n)) for _ in range(300)]
    covered = np.mean([low <= 0.0 <= high for low, high in intervals])
    assert covered == pytest.approx(0.95, abs=0.035)


def test_no_interval_from_one_value() -> None:
    assert mean_interval([1.0]) is None
    assert median_interval([]) is None


def test_same_values_give_the_same_interval_twice() -> None:
    """The seed of the bootstrap is fixed."""
    sample = np.random.default_rng(5).standard_normal(30)
    assert mean_interval(sample) == mean_interval(sample)


def test_median_interval_agrees_with_the_order_statistics() -> None:
    sample = np.random.default_rng(2).standard_normal(101)
    by_rank = np.sort(sample)[[40, 60]]  # binomial: ranks 41 and 61 of 101 hold 95 %
    assert median_interval(sample) == pytest.approx(tuple(by_rank), abs=0.05)


def test_wilcoxon_of_six_gains_is_the_tabled_1_in_32() -> None:
    assert wilcoxon_p([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(2 / 2**6)


def test_wilcoxon_with_ties_and_zeros_is_scipys() -> None:
    differences = np.round(np.random.default_rng(0).standard_normal(60) + 0.2, 1)
    theirs = stats.wilcoxon(differences, zero_method="wilcox").pvalue
    assert wilcoxon_p(differences) == pytest.approx(theirs, rel=1e-12)


def test_wilcoxon_of_zeros_is_one_and_of_no_values_none() -> None:
    assert wilcoxon_p([0.0, 0.0]) == 1.0
    assert wilcoxon_p([]) is None


def test_holm_of_a_worked_example() -> None:
    # 0.005 * 4, 0.01 * 3, then 0.03 * 2 and no less for 0.04 * 1.
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
