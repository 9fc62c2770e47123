"""The words that every stage uses: kinds of sound, roles of sources, paths inside a corpus."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from mixgen.core.paths import check_relative
from mixgen.core.records import as_value_error

Role = Literal["target", "interferer", "noise", "background", "far_end"]


Kind = Literal["speech", "music", "noise", "rir"]


RelativePath = Annotated[str, AfterValidator(lambda path: as_value_error(check_relative, path))]
