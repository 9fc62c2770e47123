"""Clusters of bins in an embedding space: targets and losses of deep clustering, and k-means.

J. R. Hershey, Z. Chen, J. Le Roux and S. Watanabe, "Deep clustering: discriminative embeddings for
segmentation and separation", ICASSP 2016 (arXiv 1508.04306); Z.-Q. Wang, J. Le Roux and
J. R. Hershey, "Alternative objective functions for deep clustering", ICASSP 2018.
Axes: batch, n_src, D sizes of the embedding, N bins of a spectrogram. V (batch, D, N) are the
embeddings, Y (batch, n_src, N) the assignments, both transposed here with respect to the papers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    """Weighted k-means of unit vectors without random numbers: equal points, equal clusters.

    First it splits the points in two along their principal axis, then again and again the part that
    varies most along an axis (Su and Dy, "In search of deterministic methods for initializing
    k-means and Gaussian mixture clustering", Intelligent Data Analysis 11(4), 2007). Clusters are
    sorted by the first coordinate of their centres: their order says where they lie, and not which
    was found first.
    """

    def __init__(self, clusters: int, iterations: int = 20) -> None:
        super().__init__()
        self.clusters = clusters
        self.iterations = iterations

    def forward(self, points: Tensor, weights: Tensor) -> Tensor:
        """Return the cluster of each point, one-hot (batch, clusters, N).

        Args:
            points: shape (batch, D, N).
            weights: shape (batch, N); points of weight zero have no part in finding the clusters.
        """
        with torch.autocast(points.device.type, enabled=False):
            points = points.to(weights.dtype)
            members = self._split(points, weights)
            _, centres = _mass_and_centres(points, members * weights[:, None])
            for _ in range(self.iterations):
                assigned = _nearest(points, centres) * weights[:, None]
                mass, moved = _mass_and_centres(points, assigned)
                centres = torch.where(mass > 0, moved, centres)
            order = centres[..., :1].argsort(1)  # (batch, clusters, 1)
            return _nearest(points, centres.gather(1, order.expand_as(centres)))

    def _split(self, points: Tensor, weights: Tensor) -> Tensor:
        """Return a first cluster for each point, one-hot (batch, clusters, N)."""
        members = torch.ones_like(points[:, :1])
        for _ in range(1, self.clusters):
            axes, spread, centres = _principal_axes(points, members * weights[:, None])
            widest = functional.one_hot(spread.argmax(1), members.shape[1])[..., None]  # (b, k, 1)
            beyond = (axes @ points) > (axes * centres).sum(-1, keepdim=True)  # (b, k, N)
            moved = members * widest * beyond
            members = torch.cat([members - moved, moved.sum(1, keepdim=True)], dim=1)
        return members

    def macs(self, given: Tensor, _output: Tensor) -> int:
        """Return the MACs of one call: products of all points with centres and with points."""
        splitting = self.clusters * (self.clusters - 1) // 2 * (given.shape[1] + 2)
        moving = self.clusters * (2 * self.iterations + 2)
        return given.numel() * (splitting + moving)


def _mass_and_centres(points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return masses (batch, k, 1) and centres (batch, k, D) for weights (batch, k, N)."""
    mass = weights.sum(-1, keepdim=True)
    return mass, (weights @ points.mT) / mass.clamp(min=EPSILON)


def _principal_axes(points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the axes (batch, k, D) along which points vary most, how much, and the centres."""
    mass, centres = _mass_and_centres(points, weights)
    moments = (weights[:, :, None] * points[:, None]) @ points[:, None].mT  # (batch, k, D, D)
    scatter = moments - mass[..., None] * centres[..., None] * centres[..., None, :]
    values, vectors = torch.linalg.eigh(scatter)
    return vectors[..., -1], values[..., -1], centres


def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    """Return the centre (batch, k, D) nearest to each point, one-hot (batch, k, N)."""
    distances = centres.square().sum(-1, keepdim=True) - 2 * centres @ points
    nearest = distances.min(1, keepdim=True).indices  # far faster than argmin
    return torch.zeros_like(distances).scatter_(1, nearest, 1.0)
