"""The audio behind an example: the beginning of its mixture, its references and its estimates."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from evalsuite.report.examples import Example
from evalsuite.report.sets import Key, Location, SetFiles
from evalsuite.scoring.records import RUN_FILE
from mixgen.audio.read import audio_info, read_audio
from mixgen.core.errors import InputError
from mixgen.core.paths import inside
from mixgen.report.examples import Excerpt
from mixgen.sets.trees import read_tree


class EstimateFolder:
    """A folder of estimates, with run.json or in any layout of `mixgen.sets.trees`.

    Raises:
        InputError: without run.json there is no audio, or several layouts fit.
    """

    def __init__(self, folder: Path, ids: Collection[str]) -> None:
        self.folder = folder
        recorded = (folder / RUN_FILE).is_file()
        self._tree = None if recorded else read_tree(folder, ids=ids)

    def find(self, mixture_id: str, name: str) -> Location:
        """Return where an estimate is, or would be."""
        path = f"{mixture_id}/{name}.wav"
        if self._tree is not None and name in self._tree.files.get(mixture_id, {}):
            path = self._tree.files[mixture_id][name].relative_to(self.folder).as_posix()
        return self.folder, path


@dataclass(frozen=True)
class ExampleFiles:
    """The files of an example; without a folder of estimates, those of the set alone."""

    example: Example
    of_set: SetFiles
    estimates: EstimateFolder | None

    def load(self, seconds: float) -> dict[Key, Excerpt]:
        """Read the first `seconds` of all files; one that cannot be played has a problem."""
        locations: dict[Key, Location] = dict(self.of_set.files)
        if self.estimates is not None:
            paired = [row.estimate for row in self.example.rows if row.estimate is not None]
            for name in (*paired, *self.example.extra):
                locations["estimate", name] = self.estimates.find(self.example.id, name)
        return {key: self._load(where, key[1], seconds) for key, where in locations.items()}

    def _load(self, location: Location, name: str, seconds: float) -> Excerpt:
        root, relative = location
        rate = self.of_set.info.sample_rate
        frames = min(self.of_set.info.frames, max(1, int(seconds * rate)))
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
