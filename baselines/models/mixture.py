"""The unseparated mixture as every estimate, from which a leaderboard measures improvement."""

from torch import Tensor

from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, Separator


class Mixture(Separator):
    """Returns the mixture n_src times."""

    causal = True
    look_ahead = 0
    receptive_field = 1

    def forward(self, mixture: Tensor) -> Tensor:
        """Repeat the mixture (batch, channels, time) to (batch, n_src, channels, time)."""
        self.check_mixture(mixture)
        return mixture[:, None].repeat(1, self.n_src, 1, 1)


MIXTURE = ModelSpec(
    name="mixture",
    title="The unseparated mixture",
    task=None,
    paper="No paper; the starting point of every improvement measure",
    reference_licence="none read",
    separator=Mixture,
)


@MIXTURE.variant()
def unseparated() -> Hyperparameters:
    """Any number of sources, sample rate and channels."""
    return Hyperparameters()
