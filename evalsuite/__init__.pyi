from . import batched as batched
from .boards.leaderboard import rank as rank
from .gate.check import check as check
from .metrics.evaluation import evaluate as evaluate
from .scoring.score import score as score
