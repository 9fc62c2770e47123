"""museval on machines without ffmpeg, which musdb's reader of compressed stems cannot do without.

museval imports that reader and no benchmark reads any compressed stem, so it is left out.
"""

import shutil
import sys
from types import ModuleType

if shutil.which("ffmpeg") is None:
    sys.modules["musdb"] = ModuleType("musdb")

import museval

__all__ = ["museval"]
