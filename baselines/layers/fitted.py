"""The base of separators that SI-SDR trains, which is blind to level."""

from collections.abc import Mapping

from torch import Tensor

from baselines.layers.level import fit_level, fit_level_causally
from baselines.losses import si_sdr_loss
from baselines.separator import Separator


class FittedSeparator(Separator):
    """A separator whose estimates are fitted to the level of the mixture.

    Subclasses write `network`. Talkers are trained by permutation-invariant SI-SDR, named stems by
    plain SI-SDR. A causal system is fitted at each sample over the past alone.

    Attributes:
        fitted: False if another loss, which determines the level, trains the network. Where the
            number of sources varies, that is so whatever the value.
    """

    fitted = True

    def network(self, mixture: Tensor) -> Tensor:
        """Separate mixture (b, channels, time) into (b, n_src, channels, time) of any level."""
        raise NotImplementedError

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (b, channels, time) into (b, n_src, channels, time)."""
        self.check_mixture(mixture)
        estimates = self.network(mixture)
        if self.counts_vary or not self.fitted:
            return estimates
        fit = fit_level_causally if self.causal else fit_level
        return fit(mixture, estimates)

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the negative SI-SDR of a batch in dB; scalar."""
        return si_sdr_loss(
            references=batch["references"],
            estimates=self.network(batch["mixture"]),
            named=self.source_names is not None,
        )
