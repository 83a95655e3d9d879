"""The results of a sweep, and the files that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symile_data.experiments.leaderboard import Entry
    from symile_data.training.config import TrainConfig

FIGURE = "results.png"


@dataclass(frozen=True, kw_only=True)
class SweepResults:
    """What a sweep has measured.

    Args:
        configs: Objective -> config of its runs at the first point.
        points: One row for each point: its settings, exact values, and for each objective the summary over seeds.
        table: The points as cells of text, the header first.
        entries: Lines for the leaderboard.
        notes: What the table does not say by itself.
    """

    configs: Mapping[str, TrainConfig]
    points: Sequence[Mapping[str, Any]]
    table: Sequence[Sequence[str]]
    entries: Sequence[Entry]
    notes: Sequence[str] = ()

    def write(self, out: Path) -> None:
        """Write results.json, results.md and leaderboard.csv into a directory.

        Raises:
            OutputError: the directory cannot be written.
        """
        from symile_data.experiments.leaderboard import leaderboard_csv
        from symile_data.experiments.tables import markdown
        from symile_data.files import pretty_json, write_text

        configs = {objective: config.to_json() for objective, config in self.configs.items()}
        notes = {"notes": list(self.notes)} if self.notes else {}
        write_text(out / "results.json", pretty_json({"configs": configs, "points": list(self.points), **notes}))
        listed = "\n".join([markdown(self.table), *(f"- {note}" for note in self.notes)])
        write_text(out / "results.md", listed.rstrip() + "\n")
        write_text(out / "leaderboard.csv", leaderboard_csv(self.entries))
