"""Make the leaderboard of the documentation from the tests in docs/results: `python .ci/leaderboard.py`.

docs/results/objectives.csv and robustness.csv have one line for each test, as `symile-data reproduce` wrote them.
This script writes what follows from them: docs/results/leaderboard.csv, the page docs/leaderboard.md and the figures
in docs/images. After a new run, copy its table of tests to docs/results, name the run in RUNS, and run this again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from symile_data.experiments.leaderboard import Entry, Run, compared_entries, leaderboard_csv, ranked
from symile_data.experiments.objective_figure import draw_objectives
from symile_data.experiments.objectives import read_tests, summaries, title
from symile_data.experiments.robustness import panels
from symile_data.experiments.robustness_figure import draw_robustness
from symile_data.experiments.tables import markdown

DOCS = Path(__file__).resolve().parents[1] / "docs"
# What measured the tables of tests in docs/results.
RUNS = {
    "objectives.csv": Run(command="symile-data reproduce objectives", version="0.2.0"),
    "robustness.csv": Run(command="symile-data reproduce robustness --preset small", version="0.2.0"),
}

_HEAD = """# Leaderboard

<!-- Written by .ci/leaderboard.py from the tables in docs/results; change those, not this page. -->

Test accuracy of every bundled [objective](objectives.md) on the same data: XOR and PID data retrieve the second variable by its value, Symile-M3 an image of the right class. Every line is a mean over
seeds with a 95 % interval of that mean (Student's t for its log-odds). *Best* is the best possible accuracy, *pairs* the best by what each other modality alone tells of the target, *random* the accuracy of a random candidate.
An objective near *pairs* has learned nothing that takes three modalities.

All lines are in [results/leaderboard.csv](results/leaderboard.csv), each with the command and the version that measured it; all tests are in [results/objectives.csv](results/objectives.csv) and
[results/robustness.csv](results/robustness.csv). `symile-data reproduce` writes `leaderboard.csv` beside its results, so a line of yours has the same columns. [Objectives](objectives.md#results) says what the numbers mean.

![Test accuracy of each objective on the data of the tables below, with intervals, beside the best possible accuracy, what pairs tell, and a random candidate](images/leaderboard.png)
"""


def tests_of(name: str) -> list[dict[str, Any]]:
    """Read one table of tests and summarise its points."""
    return summaries(read_tests((DOCS / "results" / name).read_text(encoding="utf-8"), name))


def entries() -> dict[str, list[Entry]]:
    """Return the entries of each run."""
    return {name: compared_entries(tests_of(name), run) for name, run in RUNS.items()}


def hardest(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of reliable training rows, of XOR only with the most bits."""
    reliable = [line for line in lines if not line["rate"]]
    most = max(line["dims"] or 0 for line in reliable)
    return [line for line in reliable if line["dims"] in (None, most)]


def page() -> str:
    """Return the text of docs/leaderboard.md."""
    parts = [_HEAD]
    for name, heading in (("objectives.csv", "Complete training rows"), ("robustness.csv", "Unreliable training rows")):
        run, lines = RUNS[name], tests_of(name)
        seeds = sorted({len(line["values"]) for line in lines})
        parts.append(f"## {heading}\n")
        parts.append(f"`{run.command}`, symile-data {run.version}, {' or '.join(map(str, seeds))} seeds.\n")
        if name == "objectives.csv":
            for (dataset, setting), group in ranked(compared_entries(hardest(lines), run)).items():
                parts.append(f"### {dataset}, {setting}\n\n{_references(group[0])}\n\n{markdown(_table(group))}")
        else:
            unreliable = [line for line in lines if line["rate"] == 0.5]
            parts.append("Reliable test rows, after training at a rate of 0.5.\n")
            parts.append(markdown(_wide(compared_entries(unreliable, run))))
    return "\n".join(parts)


def _references(entry: Entry) -> str:
    known = {"best": entry.best, "pairs": entry.pairs, "random": entry.random_candidate}
    return ", ".join(f"{name} {value:.3f}" for name, value in known.items() if value is not None) + "."


def _table(group: Sequence[Entry]) -> list[list[str]]:
    """One line for each objective, ranked; equal accuracies share a rank."""
    shown = [f"{entry.mean:.3f}" for entry in group]
    lines = []
    for entry, mean in zip(group, shown, strict=True):
        interval = "" if entry.low is None or entry.high is None else f"{entry.low:.3f} to {entry.high:.3f}"
        lines.append([str(shown.index(mean) + 1), f"{title(entry.objective)}", mean, interval, str(entry.seeds)])
    return [["rank", "objective", "accuracy", "95 % interval", "seeds"], *lines]


def _wide(found: Sequence[Entry]) -> list[list[str]]:
    """One line for each objective and one column for each dataset and setting, the best of a column in bold."""
    groups = ranked(found)
    best = {group: f"{members[0].mean:.3f}" for group, members in groups.items()}
    means = {(group, e.objective): f"{e.mean:.3f}" for group, members in groups.items() for e in members}
    names = list(dict.fromkeys(entry.objective for entry in found))
    lines = [[title(name), *(_marked(means.get((group, name), ""), best[group]) for group in groups)] for name in names]
    header = ["objective", *(f"{dataset}: {setting.partition(', ')[2]}" for dataset, setting in groups)]
    lines.append(["*random candidate*", *(f"{members[0].random_candidate:.3f}" for members in groups.values())])
    return [header, *lines]


def _marked(cell: str, best: str) -> str:
    return f"**{cell}**" if cell and cell == best else cell


def main() -> None:
    """Write the table, the page and the figures."""
    board = [entry for found in entries().values() for entry in found]
    (DOCS / "results" / "leaderboard.csv").write_text(leaderboard_csv(board), encoding="utf-8")
    (DOCS / "leaderboard.md").write_text(page(), encoding="utf-8")
    objectives, robustness = (tests_of(name) for name in RUNS)
    images = DOCS / "images"
    draw_objectives(images / "objectives.png", objectives)
    draw_objectives(images / "leaderboard.png", hardest(objectives))
    draw_robustness(images / "robustness.png", panels(robustness))
    for name in ("objectives.png", "leaderboard.png", "robustness.png"):
        _shrink(images / name)


def _shrink(path: Path) -> None:
    """Write a figure with a palette of 64 colours, which takes a third of the space."""
    with Image.open(path) as whole:
        few = whole.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    main()
