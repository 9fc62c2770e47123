from . import batched as batched
from .gate import check as check
from .leaderboard import rank as rank
from .metrics.evaluation import evaluate as evaluate
from .scoring.score import score as score
