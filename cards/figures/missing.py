"""The figure of missing modalities: how many rows lack which combination of them."""

from __future__ import annotations

from pathlib import Path

from symile_data.plotting import style

from ..statistics.collect import Statistics
from .drawing import FOLDER, Drawing

_MOST_PATTERNS = 12  # combinations of missing modalities that are drawn


def draw_missing(directory: Path, statistics: Statistics) -> Drawing:
    """Draw an UpSet plot: one column for each combination of missing modalities, bars above, dots below."""
    path = f"{FOLDER}/missing.png"
    splits = statistics["missing"]
    names = list(next(iter(splits.values()))["rates"])
    totals: dict[str, int] = {}
    for split in splits.values():
        for pattern, count in split["patterns"].items():
            totals[pattern] = totals.get(pattern, 0) + count
    ranked = sorted(totals, key=lambda pattern: (pattern != "", -totals[pattern], pattern))[:_MOST_PATTERNS]
    places = [float(place) for place in range(len(ranked))]
    ratios = [2.0, 0.34 * len(names)]
    title = "Rows by the modalities that they lack"
    with style.figure(2.7 + 0.3 * len(names), 2, 1, title=title, sharex=True, height_ratios=ratios) as (
        drawn,
        (bars, dots),
    ):
        width = 0.8 / len(splits)
        most = 0.0
        for index, ((split, of_split), colour) in enumerate(zip(splits.items(), style.split_colours(), strict=False)):
            rows = max(statistics["rows"][split], 1)
            shares = [100 * of_split["patterns"].get(pattern, 0) / rows for pattern in ranked]
            centres = [place + (index - (len(splits) - 1) / 2) * width for place in places]
            bars.bar(centres, shares, width * 0.92, color=colour, label=split)
            for centre, share in zip(centres, shares, strict=True):
                if share:
                    bars.text(
                        centre, share, f" {share:.0f}" if share >= 1 else " <1", ha="center", va="bottom", fontsize=6.5
                    )
            most = max(most, *shares)
        bars.set_ylabel("% of the split's rows")
        bars.set_ylim(0, most * 1.15)
        bars.grid(axis="y")
        bars.tick_params(axis="x", length=0, labelbottom=False)
        bars.legend(ncols=len(splits), loc="upper right")
        for row, name in enumerate(names):
            absent = [name in pattern.split("+") for pattern in ranked]
            dots.scatter(
                places,
                [row] * len(ranked),
                s=46,
                color=[style.RED if is_absent else style.FAINT for is_absent in absent],
            )
            crosses = [place for place, is_absent in zip(places, absent, strict=True) if is_absent]
            dots.scatter(crosses, [row] * len(crosses), s=16, color="white", marker="x", linewidths=1.2)
        for place, pattern in zip(places, ranked, strict=True):
            rows_of = [row for row, name in enumerate(names) if name in pattern.split("+")]
            if len(rows_of) > 1:
                dots.plot([place, place], [min(rows_of), max(rows_of)], color=style.RED, linewidth=1.6, zorder=0.5)
        dots.set_yticks(range(len(names)), [f"{name} missing" for name in names])
        dots.set_ylim(len(names) - 0.5, -0.5)
        dots.set_xlim(-0.6, len(ranked) - 0.4)
        dots.tick_params(length=0, labelbottom=False)
        for side in ("left", "bottom"):
            dots.spines[side].set_visible(False)
        style.save(drawn, directory / path)
    left_out = len(totals) - len(ranked)
    rest = f" {left_out} rarer combinations are left out." if left_out else ""
    caption = (
        "Share of each split's rows that lack a combination of modalities: a red cross marks a missing one, and the "
        f"first column shows the complete rows.{rest}"
    )
    return Drawing(path=path, title="Missing modalities", caption=caption)
