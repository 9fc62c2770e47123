"""The audio behind an example: the beginning of its mixture, its references and its estimates."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evalsuite.report.examples import Example
from evalsuite.scoring.records import RUN_FILE
from mixgen.audio.read import audio_info, read_audio
from mixgen.core.errors import InputError
from mixgen.core.paths import inside
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.report.examples import Excerpt
from mixgen.sets.rendered import RenderedSet
from mixgen.sets.trees import read_tree

Key = tuple[Literal["mixture", "reference", "estimate"], str]
"""What a file is, and its name."""


class EstimateFolder:
    """A folder of estimates, with run.json or in any layout of `mixgen.sets.trees`.

    Raises:
        InputError: without run.json there is no audio, or several layouts fit.
    """

    def __init__(self, folder: Path, ids: Collection[str]) -> None:
        self.folder = folder
        recorded = (folder / RUN_FILE).is_file()
        self._tree = None if recorded else read_tree(folder, ids=ids)

    def path_of(self, mixture_id: str, name: str) -> str:
        """Return the path of an estimate, relative to the folder."""
        if self._tree is not None and name in self._tree.files.get(mixture_id, {}):
            return self._tree.files[mixture_id][name].relative_to(self.folder).as_posix()
        return f"{mixture_id}/{name}.wav"


@dataclass(frozen=True)
class ExampleFiles:
    """The files of an example; without a folder of estimates, those of the set alone."""

    example: Example
    rendered: RenderedSet
    mixture: Mixture
    estimates: EstimateFolder | None

    def load(self, seconds: float) -> dict[Key, Excerpt]:
        """Read the first `seconds` of all files; one that cannot be played has a problem."""
        of_set: list[Key] = [("mixture", MIXTURE)]
        of_set += [("reference", row.reference or "") for row in self.example.rows]
        loaded = {
            key: self._load(self.rendered.root, self._in_set(key[1]), key[1], seconds)
            for key in of_set
        }
        if self.estimates is not None:
            paired = [row.estimate for row in self.example.rows if row.estimate is not None]
            for name in (*paired, *self.example.extra):
                path = self.estimates.path_of(self.mixture.id, name)
                loaded["estimate", name] = self._load(self.estimates.folder, path, name, seconds)
        return loaded

    def _in_set(self, name: str) -> str:
        return self.rendered.file_path(self.mixture, name)

    def _load(self, root: Path, relative: str, name: str, seconds: float) -> Excerpt:
        rate = self.mixture.sample_rate
        frames = min(self.mixture.frames, max(1, int(seconds * rate)))
        try:
            path = inside(root, relative)
            info = audio_info(path)
            if info.sample_rate != rate:
                problem = f"{relative} has {info.sample_rate} Hz, and the mixture {rate} Hz."
                return Excerpt(name, None, rate, problem)
            samples, _ = read_audio(path, frames=min(frames, info.frames))
        except InputError as error:
            # Without the folder: a page that is passed on says nothing of where it was made.
            return Excerpt(name, None, rate, str(error).replace(f"{root}/", ""))
        except OSError as error:  # a name that no file system holds
            return Excerpt(name, None, rate, f"{relative} cannot be read: {error.strerror}.")
        return Excerpt(name, samples, rate)
