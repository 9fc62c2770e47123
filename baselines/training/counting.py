"""Validation where the number of sources varies, and the level above which an estimate is active.

The level is chosen on the split `valid` and saved with the weights: it decides at inference, where
no reference takes part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from baselines.layers.permutation import references_of
from baselines.losses import FUSS_SILENT_RMS, pairwise_si_sdr_db
from baselines.separator import Separator

# A talker too few or too many, and the least that a pair counts (Zhu et al., ICASSP 2021).
PENALTY_DB = 30.0
# Levels below this are one: no recording needs a threshold further down.
_LOWEST_DB = -60.0


@dataclass(frozen=True)
class CountedValidation:
    """Mixtures (channels, time) with their references (up to n_src, channels, time), in memory.

    References of meetings are on streams: (groups, n_src, channels, time).
    """

    examples: list[tuple[Tensor, Tensor]]
    score_column: ClassVar[str] = "valid_p_si_snr_db"

    @torch.no_grad()
    def measure(self, separator: Separator) -> dict[str, float]:
        """Choose the separator's level of activity; return what a row of the history has of it.

        The first value is the mean penalised SI-SNR in dB, over the mixtures that have a source or
        in which one was found.
        """
        device = next(separator.parameters()).device
        was_training = separator.training
        separator.eval()
        levels, pairs = [], []
        for mixture, references in self.examples:
            given = mixture[None].to(device)
            estimates = separator(given)
            levels.append(separator.levels_db(given, estimates)[0].cpu().numpy())
            matched = references_of(references[None].to(device), estimates)[0]
            sounding = matched.square().mean((-1, -2)).sqrt() > FUSS_SILENT_RMS
            pairs.append((matched[sounding], estimates[0]))
        separator.train(was_training)
        counts = [len(references) for references, _ in pairs]
        above_db = tuned_level_db(levels, counts)
        separator.get_buffer("active_above_db").fill_(above_db)
        active = [level > above_db for level in levels]
        scores = [
            p_si_snr_db(references=references, estimates=estimates[torch.from_numpy(found)])
            for (references, estimates), found in zip(pairs, active, strict=True)
            if len(references) or found.any()
        ]
        right = [found.sum() == count for found, count in zip(active, counts, strict=True)]
        return {
            self.score_column: float(np.mean(scores)) if scores else 0.0,
            "valid_count_right": float(np.mean(right)),
            "active_above_db": above_db,
        }

    def summary(self, row: dict[str, float]) -> str:
        """Return what a row of the history says, for a line on the terminal."""
        return (
            f"valid P-SI-SNR {row[self.score_column]:.2f} dB, "
            f"{100 * row['valid_count_right']:.0f} % of counts right"
        )


def tuned_level_db(levels_db: Sequence[NDArray[np.float64]], counts: Sequence[int]) -> float:
    """Return the level in dB above which most mixtures have as many estimates as sources.

    Of all such levels it is the middle of the widest interval.

    Args:
        levels_db: of the estimates of each mixture, relative to the mixture.
        counts: number of sources of each mixture.
    """
    clipped = [np.maximum(levels, _LOWEST_DB) for levels in levels_db]
    edges = np.unique(np.concatenate([*clipped, [_LOWEST_DB, 0.0]]))
    middles = (edges[:-1] + edges[1:]) / 2
    right = [
        sum((levels > middle).sum() == n for levels, n in zip(clipped, counts, strict=True))
        for middle in middles
    ]
    widths = np.where(np.equal(right, max(right)), np.diff(edges), 0.0)
    return float(middles[widths.argmax()])


def p_si_snr_db(*, references: Tensor, estimates: Tensor) -> float:
    """Return the penalised SI-SNR in dB of sources and active estimates; one of both at least.

    Zhu, Yeh, Hasegawa-Johnson, ICASSP 2021 (arXiv 2011.12022).

    Args:
        references: that sound, shape (n_ref, channels, time).
        estimates: shape (n_est, channels, time).
    """
    n_ref, n_est = len(references), len(estimates)
    total = 0.0
    if n_ref and n_est:
        gains = pairwise_si_sdr_db(references=references[None], estimates=estimates[None])[0]
        floored = gains.clamp(min=-PENALTY_DB).cpu().double().numpy()
        total = float(floored[linear_sum_assignment(floored, maximize=True)].sum())
    return (total - PENALTY_DB * abs(n_ref - n_est)) / max(n_ref, n_est)
