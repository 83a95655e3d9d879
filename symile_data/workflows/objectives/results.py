"""The files of a comparison of objectives: tests, tables, notes, lines for the leaderboard and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.files import pretty_json, write_text

if TYPE_CHECKING:
    from symile_data.experiments.leaderboard import Run
    from symile_data.experiments.objective_plan import Plan

Table = Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class ComparisonResults:
    """What a comparison shows.

    Args:
        lines: The summaries of `experiments.objectives.summaries`: one for each point and objective.
        tables: Heading and cells of each table, the header first.
        notes: What the tables do not say by themselves.
    """

    lines: Sequence[Mapping[str, Any]]
    tables: Sequence[tuple[str, Table]]
    notes: Sequence[str]


def write_comparison(plan: Plan, rows: Sequence[Mapping[str, Any]], out: Path, run: Run) -> ComparisonResults:
    """Summarise the tests of `reproduce objectives` in results.csv, .json, .md, .png and leaderboard.csv.

    Args:
        plan: Points, steps, grids and seeds.
        rows: From `run_comparison`.
        out: Directory of the files.
        run: What the leaderboard names as the command that measured.

    Raises:
        OutputError: the directory cannot be written.
    """
    from symile_data.experiments.objective_figure import draw_objectives
    from symile_data.experiments.objective_plan import described
    from symile_data.experiments.objectives import objectives_notes, objectives_table, summaries
    from symile_data.experiments.tables import markdown

    lines = summaries(rows)
    table = objectives_table(lines)
    results = ComparisonResults(
        lines=lines, tables=[("Test accuracy", table)], notes=[*described(plan), *objectives_notes(lines)]
    )
    _write(results, plan, rows, out, "results", run)
    write_text(out / "results.md", "\n".join([markdown(table), *(f"- {note}" for note in results.notes)]) + "\n")
    draw_objectives(out / "results.png", lines)
    return results


def write_robustness(plan: Plan, rows: Sequence[Mapping[str, Any]], out: Path, run: Run) -> ComparisonResults:
    """Summarise the tests of `reproduce robustness` in robustness.csv, .json, .md, .png and leaderboard.csv.

    Args:
        plan: Points, steps, grids and seeds.
        rows: From `run_comparison`.
        out: Directory of the files.
        run: What the leaderboard names as the command that measured.

    Raises:
        OutputError: the directory cannot be written.
    """
    from symile_data.experiments.objective_plan import described
    from symile_data.experiments.objectives import summaries
    from symile_data.experiments.robustness import panels, robustness_notes, robustness_table
    from symile_data.experiments.robustness_figure import draw_robustness
    from symile_data.experiments.tables import markdown

    lines = summaries(rows)
    results = ComparisonResults(
        lines=lines,
        tables=[(f"{panel.data}: {panel.heading}", robustness_table(panel)) for panel in panels(lines)],
        notes=[*described(plan), *robustness_notes(lines)],
    )
    _write(results, plan, rows, out, "robustness", run)
    sections = [f"## {heading}\n\n{markdown(table)}\n" for heading, table in results.tables]
    write_text(out / "robustness.md", "".join([*sections, *(f"- {note}\n" for note in results.notes)]))
    draw_robustness(out / "robustness.png", panels(lines))
    return results


def _write(
    results: ComparisonResults, plan: Plan, rows: Sequence[Mapping[str, Any]], out: Path, name: str, run: Run
) -> None:
    """Write the files for machines: a line for each test, the leaderboard's lines, and the summaries with the plan."""
    from symile_data.experiments.leaderboard import compared_entries, leaderboard_csv
    from symile_data.experiments.objectives import tidy_csv

    contents = {"plan": plan.to_json(), "notes": results.notes, "points": results.lines}
    write_text(out / f"{name}.csv", tidy_csv(rows))
    write_text(out / "leaderboard.csv", leaderboard_csv(compared_entries(results.lines, run)))
    write_text(out / f"{name}.json", pretty_json(contents))
