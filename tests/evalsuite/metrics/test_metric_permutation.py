"""The assignment of estimates to references against exhaustive search."""

from itertools import permutations

import numpy as np
import pytest

from evalsuite.metrics.permutation import best_permutation, in_order
from evalsuite.metrics.si_sdr import PAIR_LIMIT_DB, pairwise_si_sdr, si_sdr
from tests.evalsuite.metrics.conftest import Array


def sources(n_src: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n_src, 1, 800))


@pytest.mark.parametrize("seed", range(5))
def test_equals_exhaustive_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    references = sources(4, seed)
    mixing = np.eye(4)[rng.permutation(4)] + 0.8 * rng.standard_normal((4, 4))
    estimates = np.einsum("ij,jct->ict", mixing, references)
    gains = pairwise_si_sdr(references=references, estimates=list(estimates))
    best = max(permutations(range(4)), key=lambda p: sum(gains[i, p[i]] for i in range(4)))
    assert best_permutation(references=references, estimates=list(estimates)).estimate_of == best


def test_equals_fast_bss_eval() -> None:
    oracle = pytest.importorskip("fast_bss_eval", reason="fast_bss_eval is the oracle here")
    references = sources(3)
    estimates = (references + 0.5 * sources(3, 1))[[2, 0, 1]]
    _, theirs = oracle.si_sdr(references[:, 0], estimates[:, 0], zero_mean=True, return_perm=True)
    ours = best_permutation(references=references, estimates=list(estimates))
    assert ours.estimate_of == tuple(theirs.tolist()) == (1, 2, 0)


def test_too_few_and_too_many_estimates_are_missing_and_extra() -> None:
    references = sources(3)
    noisy = references + 0.3 * sources(3, 1)
    few = best_permutation(references=references, estimates=[noisy[2], noisy[0]])
    assert (few.estimate_of, few.missing, few.extra) == ((1, None, 0), (1,), ())
    many = best_permutation(references=references[:2], estimates=[noisy[2], noisy[1], noisy[0]])
    assert (many.estimate_of, many.missing, many.extra) == ((2, 1), (), (0,))
    none = best_permutation(references=references, estimates=[])
    assert (none.estimate_of, none.missing) == ((None, None, None), (0, 1, 2))


def test_missing_estimates_keep_the_indices_of_the_others() -> None:
    references = sources(2)
    found = best_permutation(references=references, estimates=[None, references[1], references[0]])
    assert (found.estimate_of, found.extra) == ((2, 1), ())
    named = in_order([references[0], None])
    assert (named.estimate_of, named.missing) == ((0, None), (1,))


def test_silence_is_assigned_last() -> None:
    """Perfect, silent and orthogonal pairs count with finite values, so the others decide."""
    references = sources(3)
    references[0] = 0.0
    estimates = [references[2], np.zeros((1, 800)), references[1]]
    found = best_permutation(references=references, estimates=estimates)
    assert found.estimate_of == (1, 2, 0)


def test_scores_of_all_pairs_are_those_of_each() -> None:
    """Ratios beyond the limit are the limit."""
    references, estimates = sources(3), [*(sources(2, 1) + 0.1), np.zeros((1, 800))]
    of_all = pairwise_si_sdr(references=references, estimates=[*estimates, references[2]])
    alone = [[si_sdr(reference=r, estimate=e) for e in estimates[:2]] for r in references]
    np.testing.assert_allclose(of_all[:, :2], alone, rtol=1e-12)
    np.testing.assert_allclose(of_all[:, 2], -PAIR_LIMIT_DB)
    assert of_all[2, 3] == pytest.approx(PAIR_LIMIT_DB)
