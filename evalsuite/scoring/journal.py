"""The journal of a running score: finished mixtures, so that a killed run can continue."""

import json
from pathlib import Path
from typing import Any

from evalsuite.scoring.baseline import from_plain, to_plain
from evalsuite.scoring.mixture import Scored
from evalsuite.scoring.records import parse_item
from mixgen.core.errors import SuiteError
from mixgen.core.files import machine_errors, to_json

JOURNAL_FILE = "unfinished.jsonl"


class ScoreJournal:
    """Finished mixtures in SCORES/unfinished.jsonl, one line each, written as they finish.

    The first line holds the hash of the run's inputs; a journal of other inputs is started over.
    Lines that a kill cut short are dropped.
    """

    def __init__(self, folder: Path, inputs_sha256: str) -> None:
        self.path = folder / JOURNAL_FILE
        self.done = self._read(inputs_sha256)
        with machine_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            # Written from the start, so that no line is appended to one that was cut short.
            self._stream = open(self.path, "w", encoding="utf-8")  # noqa: SIM115 (closed later)
        self._write({"inputs_sha256": inputs_sha256})
        for scored in self.done.values():
            self._write(_to_line(scored))

    def add(self, scored: Scored) -> None:
        """Write one finished mixture."""
        self.done[scored.id] = scored
        self._write(_to_line(scored))

    def close(self) -> None:
        """Stop writing; the file stays for the next run."""
        self._stream.close()

    def remove(self) -> None:
        """Delete the file, once items.jsonl holds its content."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, line: dict[str, Any]) -> None:
        with machine_errors(self.path):
            self._stream.write(to_json(line) + "\n")
            self._stream.flush()

    def _read(self, inputs_sha256: str) -> dict[str, Scored]:
        if not self.path.is_file():
            return {}
        first, *lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        if _parse(first) != {"inputs_sha256": inputs_sha256}:
            return {}
        mixtures = map(_from_line, lines)
        return {scored.id: scored for scored in mixtures if scored is not None}


def _to_line(scored: Scored) -> dict[str, Any]:
    return {
        "id": scored.id,
        "rows": [row.as_line() for row in scored.rows],
        "baseline": to_plain(scored.baseline),
    }


def _from_line(line: str) -> Scored | None:
    data = _parse(line)
    try:
        baseline = from_plain(data["baseline"])
        rows = tuple(parse_item(row, JOURNAL_FILE) for row in data["rows"])
        return Scored(data["id"], rows, baseline)
    except (SuiteError, KeyError, TypeError):
        return None


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None
