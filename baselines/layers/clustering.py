"""Clusters of bins in an embedding space: targets and losses of deep clustering, and k-means.

J. R. Hershey, Z. Chen, J. Le Roux and S. Watanabe, "Deep clustering: discriminative embeddings for
segmentation and separation", ICASSP 2016 (arXiv 1508.04306); Z.-Q. Wang, J. Le Roux and
J. R. Hershey, "Alternative objective functions for deep clustering", ICASSP 2018.
Axes: batch, n_src, D sizes of the embedding, N bins of a spectrogram. V (batch, D, N) are the
embeddings, Y (batch, n_src, N) the assignments, both transposed here with respect to the papers.
"""

import torch
from torch import Tensor, nn

from baselines.losses import in_full_precision

WEIGHTINGS = ("active", "magnitude")
# Bins this far below the loudest of a mixture count as silent.
SILENCE_DB = 40.0
EPSILON = 1e-8


def dominant_sources(magnitudes: Tensor) -> Tensor:
    """Return Y, one at the loudest source of each bin and zero at the others: (batch, n_src, N).

    Args:
        magnitudes: of the references, shape (batch, n_src, ...).
    """
    magnitudes = magnitudes.flatten(2)
    loudest = magnitudes.max(1, keepdim=True).indices  # far faster than argmax
    return torch.zeros_like(magnitudes).scatter_(1, loudest, 1.0)


def bin_weights(magnitude: Tensor, weighting: str) -> Tensor:
    """Return how much each bin counts, (batch, N).

    Args:
        magnitude: of the mixture, shape (batch, ...).
        weighting: "active": one for bins that are not silent, zero for others (Hershey et al.);
            "magnitude": the magnitude relative to the mean of all bins (Wang et al.).
    """
    magnitude = magnitude.flatten(1)
    if weighting == "active":
        threshold = magnitude.amax(1, keepdim=True) * 10 ** (-SILENCE_DB / 20)
        return (magnitude > threshold).to(magnitude.dtype)
    return magnitude / (magnitude.mean(1, keepdim=True) + EPSILON)


@in_full_precision
def affinity_loss(*, embeddings: Tensor, assignments: Tensor, weights: Tensor) -> Tensor:
    """Return |VV' - YY'|^2 of Hershey et al., a mean over all pairs of bins; scalar.

    Args:
        embeddings: V, shape (batch, D, N).
        assignments: Y, shape (batch, n_src, N).
        weights: of the bins; a pair has the product of its two, shape (batch, N).
    """
    vv, vy, yy = _products(embeddings, assignments, weights)
    pairs = weights.sum(1).square() + EPSILON  # (batch,)
    distance: Tensor = (_energy(vv) - 2 * _energy(vy) + _energy(yy)) / pairs
    return distance.mean()


@in_full_precision
def whitened_k_means_loss(*, embeddings: Tensor, assignments: Tensor, weights: Tensor) -> Tensor:
    """Return D - tr((V'V)^-1 V'Y (Y'Y)^-1 Y'V) of Wang et al., mean of the batch; scalar.

    It is the error of the best k-means of whitened embeddings, of which Y gives the clusters. A
    unit matrix is added to both inverted ones, because a source may be silent.

    Args:
        embeddings: V, shape (batch, D, N).
        assignments: Y, shape (batch, n_src, N).
        weights: of the bins, shape (batch, N).
    """
    vv, vy, yy = _products(embeddings, assignments, weights)
    whitened = torch.linalg.solve(vv + _unit(vv), vy)  # (batch, D, n_src)
    averaged = torch.linalg.solve(yy + _unit(yy), vy.mT)  # (batch, n_src, D)
    explained: Tensor = (whitened * averaged.mT).sum((1, 2))  # the trace
    return embeddings.shape[1] - explained.mean()


DEEP_CLUSTERING_LOSSES = {"affinity": affinity_loss, "whitened": whitened_k_means_loss}


def _products(v: Tensor, y: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return V'WV (batch, D, D), V'WY (batch, D, n_src) and Y'WY (batch, n_src, n_src)."""
    weighted = weights[:, None]
    return (v * weighted) @ v.mT, v @ (y * weighted).mT, (y * weighted) @ y.mT


def _energy(matrix: Tensor) -> Tensor:
    return matrix.square().sum((1, 2))


def _unit(matrix: Tensor) -> Tensor:
    return torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)


class KMeans(nn.Module):
    """Weighted k-means of unit vectors, from several starts, of which the best result counts.

    The starts are those of k-means++ (Arthur and Vassilvitskii, SODA 2007) with random numbers that
    are the same in every call: equal points have equal clusters, in any batch.
    """

    def __init__(self, clusters: int, *, starts: int = 4, iterations: int = 20, seed: int = 0):
        super().__init__()
        self.clusters = clusters
        self.starts = starts
        self.iterations = iterations
        self.seed = seed

    def forward(self, points: Tensor, weights: Tensor) -> Tensor:
        """Return the cluster of each point, one-hot (batch, clusters, N).

        Args:
            points: shape (batch, D, N).
            weights: shape (batch, N); points of weight zero have no part in finding the clusters.
        """
        with torch.autocast(points.device.type, enabled=False):
            points = points.to(weights.dtype)
            centres = self._starts(points, weights)  # (batch, starts, clusters, D)
            for _ in range(self.iterations):
                assigned = _nearest(_distances(points, centres)) * weights[:, None, None]
                mass = assigned.sum(-1, keepdim=True)  # (batch, starts, clusters, 1)
                total = (assigned.flatten(1, 2) @ points.mT).unflatten(1, centres.shape[1:3])
                centres = torch.where(mass > 0, total / mass.clamp(min=EPSILON), centres)
            distances = _distances(points, centres)
            error = (distances.amin(2) * weights[:, None]).sum(-1)  # (batch, starts)
            best = error.argmin(1)[:, None, None, None].expand(-1, 1, *distances.shape[2:])
            clusters: Tensor = _nearest(distances.gather(1, best))[:, 0]
            return clusters

    def _starts(self, points: Tensor, weights: Tensor) -> Tensor:
        """Return centres (batch, starts, clusters, D): points drawn far from those before them."""
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.clusters, self.starts)
        quantiles = torch.rand(shape, generator=generator).to(weights)
        chance = weights[:, None].expand(-1, self.starts, -1)  # (batch, starts, N)
        centres: list[Tensor] = []
        for quantile in quantiles:
            chosen = _at_quantile(chance, quantile)[:, None]  # (batch, 1, starts)
            picked = points.gather(2, chosen.expand(-1, points.shape[1], -1))  # (batch, D, starts)
            centres.append(picked.mT)
            nearest = _distances(points, torch.stack(centres, dim=2)).amin(2)
            chance = weights[:, None] * nearest
        return torch.stack(centres, dim=2)

    def macs(self, given: Tensor, _output: Tensor) -> int:
        """Return the MACs of one call: products of all points with all centres."""
        drawing = self.clusters * (self.clusters + 1) // 2
        moving = 2 * self.clusters * self.iterations
        return given.numel() * self.starts * (drawing + moving + self.clusters)


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    """Return squared distances (batch, starts, clusters, N) of unit vectors from centres."""
    product = (centres.flatten(1, 2) @ points).unflatten(1, centres.shape[1:3])
    distances: Tensor = 1 + centres.square().sum(-1, keepdim=True) - 2 * product
    return distances.clamp(min=0)


def _nearest(distances: Tensor) -> Tensor:
    """Return one at the least distance over the clusters and zero at others, in the same shape."""
    nearest = distances.min(2, keepdim=True).indices  # far faster than argmin
    return torch.zeros_like(distances).scatter_(2, nearest, 1.0)


def _at_quantile(chance: Tensor, quantile: Tensor) -> Tensor:
    """Return the points at quantiles (starts,) of the chances (batch, starts, N)."""
    total = chance.cumsum(-1)
    value = (quantile[:, None] * total[..., -1:]).contiguous()
    found = torch.searchsorted(total, value, right=True)[..., 0]
    return found.clamp(max=chance.shape[-1] - 1)  # (batch, starts)
