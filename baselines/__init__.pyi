from .checkpoint import load as load
from .inference.recording import separate as separate
from .registry import build as build
from .registry import names as names
from .separator import Separator as Separator
