"""The mixture itself as every estimate: what a leaderboard measures improvement from."""

from torch import Tensor

from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, Separator


class Mixture(Separator):
    """Gives its input back n_src times."""

    causal = True
    look_ahead = 0

    def forward(self, mixture: Tensor) -> Tensor:
        """The mixture (batch, channels, time) repeated to (batch, n_src, channels, time)."""
        self.check_mixture(mixture)
        return mixture[:, None].repeat(1, self.n_src, 1, 1)


MIXTURE = ModelSpec(
    name="mixture",
    title="The unseparated mixture",
    paper="No paper; the starting point of every improvement measure",
    reference_licence="none read",
    separator=Mixture,
)


@MIXTURE.variant()
def unseparated() -> Hyperparameters:
    """Any number of sources, rate and channels."""
    return Hyperparameters()
