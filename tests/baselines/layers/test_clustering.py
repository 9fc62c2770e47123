"""Deep clustering: its losses beside slow ones over pairs of bins, and k-means."""

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.layers.clustering import (
    KMeans,
    affinity_loss,
    bin_weights,
    dominant_sources,
    whitened_k_means_loss,
)


def bins(count: int = 30, size: int = 4, n_src: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Random unit vectors, assignments and weights of a batch of two."""
    embeddings = functional.normalize(torch.randn(2, size, count, dtype=torch.float64), dim=1)
    assignments = dominant_sources(torch.rand(2, n_src, count, dtype=torch.float64))
    return embeddings, assignments, torch.rand(2, count, dtype=torch.float64)


@pytest.mark.parametrize("n_src", [2, 3])
def test_affinity_loss_is_the_mean_over_all_pairs_of_bins(n_src: int) -> None:
    v, y, weights = bins(count=15, n_src=n_src)
    total = torch.zeros(2, dtype=torch.float64)
    for i, j in product(range(15), repeat=2):
        affinity = (v[..., i] * v[..., j]).sum(1)
        ideal = (y[..., i] * y[..., j]).sum(1)
        total += weights[:, i] * weights[:, j] * (affinity - ideal).square()
    expected = (total / weights.sum(1).square()).mean()
    loss = affinity_loss(embeddings=v, assignments=y, weights=weights)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("n_src", [2, 3])
def test_whitened_loss_is_the_error_of_k_means_after_whitening(n_src: int) -> None:
    """Heavy weights make the unit matrix, which keeps inverses finite, negligible."""
    v, y, weights = bins(n_src=n_src)
    weights = 1e9 * weights
    expected = torch.zeros(2, dtype=torch.float64)
    for item in range(2):
        scaled = v[item] * weights[item].sqrt()  # (D, N)
        values, vectors = torch.linalg.eigh(scaled @ scaled.T)
        white = vectors @ torch.diag(values.rsqrt()) @ vectors.T @ v[item]
        for source in y[item]:
            share = weights[item] * source
            centre = (white * share).sum(1, keepdim=True) / share.sum()
            expected[item] += (share * (white - centre).square()).sum()
    loss = whitened_k_means_loss(embeddings=v, assignments=y, weights=weights)
    torch.testing.assert_close(loss, expected.mean(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("loss", [affinity_loss, whitened_k_means_loss])
def test_embeddings_of_the_assignments_have_the_least_loss(loss: type) -> None:
    _, y, weights = bins(count=5000)
    perfect = torch.cat([y, torch.zeros_like(y)], dim=1)
    assert loss(embeddings=perfect, assignments=y, weights=weights) == pytest.approx(
        0 if loss is affinity_loss else 2, abs=2e-2
    )


@pytest.mark.parametrize("loss", [affinity_loss, whitened_k_means_loss])
def test_silent_bins_do_not_count(loss: type) -> None:
    v, y, weights = bins()
    weights[:, ::3] = 0
    altered = v.clone()
    altered[..., ::3] = 1
    values = [loss(embeddings=e, assignments=y, weights=weights) for e in (v, altered)]
    torch.testing.assert_close(*values)


@pytest.mark.parametrize("loss", [affinity_loss, whitened_k_means_loss])
def test_mixtures_of_silence_and_of_one_source_have_a_finite_loss(loss: type) -> None:
    v, y, weights = bins()
    weights[0] = 0
    y[1] = torch.tensor([1.0, 0.0])[:, None]
    v.requires_grad_()
    loss(embeddings=v, assignments=y, weights=weights).backward()
    assert v.grad is not None
    assert v.grad.isfinite().all()


def test_bins_40_db_below_the_loudest_have_no_weight() -> None:
    magnitude = torch.tensor([[[1.0, 0.011], [0.009, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert bin_weights(magnitude, "active").tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    assert bin_weights(10 * magnitude, "active").tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]


def test_magnitudes_as_weights_have_a_mean_of_one() -> None:
    weights = bin_weights(3 * torch.rand(2, 1, 5, 7), "magnitude")
    torch.testing.assert_close(weights.mean(1), torch.ones(2))


def error_of(points: Tensor, weights: Tensor, clusters: Tensor) -> float:
    """Weighted k-means error of one-hot clusters (clusters, N) of points (D, N)."""
    total = 0.0
    for members in clusters:
        share = weights * members
        if share.sum() > 0:
            centre = (points * share).sum(1, keepdim=True) / share.sum()
            total += float((share * (points - centre).square()).sum())
    return total


@pytest.mark.parametrize("clusters", [2, 3])
def test_k_means_is_as_good_as_the_best_of_all_assignments(clusters: int) -> None:
    """Of points that lie around as many directions as clusters."""
    directions = torch.eye(3)[:, torch.arange(7) % clusters]
    points = functional.normalize(directions + 0.2 * torch.randn(2, 3, 7), dim=1)
    weights = torch.rand(2, 7)
    found = KMeans(clusters)(points, weights)
    one_hot = torch.eye(clusters)
    for item in range(2):
        best = min(
            error_of(points[item], weights[item], one_hot[:, list(labels)])
            for labels in product(range(clusters), repeat=7)
        )
        assert error_of(points[item], weights[item], found[item]) == pytest.approx(best)


def test_points_without_weight_follow_the_clusters_of_others() -> None:
    """Most points lie in the middle and weigh nothing; the rest lie in two directions."""
    angle = torch.cat([0.1 * torch.rand(5), 1.4 + 0.1 * torch.rand(5), torch.full((90,), 0.6)])
    points = torch.stack([angle.cos(), angle.sin()])[None]
    weights = (torch.arange(100) < 10).float()[None]
    labels = KMeans(2)(points, weights)[0].argmax(0)
    assert labels[:5].unique().numel() == 1
    assert (labels[5:10] == 1 - labels[0]).all()
    assert (labels[10:] == labels[0]).all()


def test_points_without_any_weight_have_one_cluster_each() -> None:
    points, _, weights = bins()
    found = KMeans(2)(points, 0 * weights)
    assert (found.sum(1) == 1).all()


def test_clusters_are_sorted_by_where_they_lie() -> None:
    points = functional.normalize(torch.randn(1, 3, 50), dim=1)
    weights = torch.rand(1, 50)
    found = KMeans(3)(points, weights)
    order = torch.randperm(50)
    torch.testing.assert_close(KMeans(3)(points[..., order], weights[:, order]), found[..., order])
    centres = (found * weights[:, None]) @ points.mT / (found * weights[:, None]).sum(-1)[..., None]
    assert (centres[0, :, 0].diff() >= 0).all()


def test_k_means_counts_its_products() -> None:
    points, _, weights = bins(count=10, size=4)
    with_centre = 2 * 4 * 10  # products of every point of the batch with one centre
    scatter, axes_and_centres = 4, 2
    splits = (1 + 2) * (scatter + axes_and_centres)  # of one cluster, then of two
    moves = 3 * (1 + 5 * 2 + 1)  # the first centres, five iterations, the last assignment
    assert KMeans(3, iterations=5).macs(points, weights) == with_centre * (splits + moves)
