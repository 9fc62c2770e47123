"""Estimates on disk: EST/<mixture id>/<estimate name>.wav.

Reading an unusable file returns a reason instead of raising: its mixture fails, the others go on.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import soundfile

from evalsuite.metrics.item import Array
from evalsuite.metrics.outcome import Missing, Reason
from mixgen.core.paths import check_name

Estimate = Array | Missing | None


def carry_names(estimates: Collection[str], references: Collection[str]) -> bool:
    """Return whether estimates of these names belong to the references of the same names.

    Stems do; names that end with a digit, as s1 and s2, identify no source.
    """
    return set(references) <= set(estimates) and not any(n[-1:].isdigit() for n in references)


def estimate_path(folder: Path, mixture_id: str, name: str) -> Path:
    """Return the path of an estimate.

    Raises:
        InputError: the name is not a plain file name.
    """
    return folder / mixture_id / f"{check_name(name)}.wav"


def load_estimate(path: Path, sample_rate: int) -> Estimate:
    """Read one estimate, shape (channels, time).

    Args:
        path: of the file.
        sample_rate: in Hz, that of the mixture.

    Returns:
        The samples (NaN and infinity included), None without a file, or the reason why the file
        cannot be used.
    """
    if not path.is_file():
        return None
    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        message = str(getattr(error, "error_string", error)).strip().rstrip(".")
        return Missing(Reason.MISSING_ESTIMATE, f"{path.name} cannot be read ({message})")
    if rate != sample_rate:
        detail = f"{path.name} has {rate} Hz, the mixture {sample_rate} Hz"
        return Missing(Reason.WRONG_SHAPE, detail)
    return np.ascontiguousarray(samples.T)
