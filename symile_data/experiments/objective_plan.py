"""The comparison of objectives: at which points, how long each trial trains and what is tuned, all in one place.

A point is a dataset with a kind of encoder. At each point every objective is tuned on the validation split over the
plan's grid of learning rates and starts of the scale, with one seed; the chosen setting is then trained with each seed
and tested. `PRESETS` holds the full plan and a small one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from symile_data.errors import UsageError
from symile_data.progress.amounts import counted

XOR, M3, PID = "xor", "m3", "pid"
LINEAR, MLP = "linear", "mlp"
MISSING: Final = "missing"
MISALIGNED: Final = "misaligned"
NOISY: Final = "noisy"


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where objectives are compared.

    Args:
        dataset: "xor", "m3" or "pid".
        modalities: M.
        dims: Bits of a variable, for XOR; else 0.
        languages: Languages, for Symile-M3; else 0.
        design: Name in `objective_designs.DESIGNS`, for PID data; else "".
        encoder: "linear" or "mlp".
        rate: At which a modality of a training row is unreliable; validation and test rows are not.
        unreliable: How: "missing", "misaligned" (another row's value) or "noisy" (flipped bits).
        affected: The modalities that are; all where none is given.
        level: Probability that a bit of a noisy vector is flipped.

    Raises:
        UsageError: other than one modality is noisy.
    """

    dataset: Literal["xor", "m3", "pid"]
    modalities: int
    dims: int = 0
    languages: int = 0
    design: str = ""
    encoder: str = LINEAR
    rate: float = 0.0
    unreliable: Literal["missing", "misaligned", "noisy"] = MISSING
    affected: tuple[str, ...] = ()
    level: float = 0.0

    def __post_init__(self) -> None:
        if self.rate and self.unreliable == NOISY and len(self.affected) != 1:
            raise UsageError("affected names the one noisy modality of a point", got=", ".join(self.affected))

    @property
    def name(self) -> str:
        """Return the point's name in directories and tables.

        >>> Point(dataset="xor", modalities=3, dims=5, encoder="mlp", rate=0.5).name
        'xor-5-of-3-mlp-missing-0.5'
        """
        size = f"{self.dims}-of-{self.modalities}" if self.dataset == XOR else self.design or f"{self.languages}"
        words = [self.dataset, size, self.encoder]
        return "-".join([*words, self.unreliable, *self.affected, f"{self.rate:g}"] if self.rate else words)

    def rates(self, names: Sequence[str]) -> dict[str, float]:
        """Return the rate at which each unreliable modality is, of all modalities by name; {} where none is."""
        return dict.fromkeys(self.affected or names, self.rate) if self.rate else {}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the trials on one kind of dataset are trained.

    Args:
        dim: D, size of the embeddings, which are L2-normalised.
        batch: Rows of a batch.
        steps: Steps of a training with the chosen setting.
        tuning_steps: Steps of a training of the grid.
        lrs: Peak learning rates of the grid.
        scales: Starts of the logit scale in the grid, as multiples of the objective's own start.
        weight_decay: Of AdamW, on all but scalars.
        dropout: On the inputs of the encoders, but for texts.
        hidden: Units of the hidden layer of an "mlp" encoder.
        check_every: Steps between looks at the validation split while tuning; a training of the grid ends, and the
            search with it, where validation is perfect.
    """

    dim: int
    batch: int
    steps: int
    tuning_steps: int
    lrs: tuple[float, ...]
    scales: tuple[float, ...]
    weight_decay: float
    dropout: float = 0.0
    hidden: int = 64
    check_every: int = 50


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All settings of a comparison.

    Args:
        points: Where objectives are compared.
        seeds: Seeds of the tested trainings, from 0; tuning takes seed 0.
        vector_rows: Rows of the splits of XOR and PID data.
        m3_rows: Rows of the Symile-M3 splits.
        recipes: Of the trials, by the name of the dataset, or "m3-10" for one number of languages.
        batches: (objective, modalities) -> rows of a batch, where the work of a whole batch is out of proportion.
        filled: Objectives without a policy for missing modalities that are compared where some are missing all the
            same; None for all. What is missing becomes the mean of the training rows, with an indicator, or for a text
            a token of its own.
    """

    points: tuple[Point, ...]
    seeds: int
    vector_rows: Mapping[str, int]
    m3_rows: Mapping[str, int]
    recipes: Mapping[str, Recipe]
    batches: Mapping[str, int] = field(default_factory=dict)
    filled: tuple[str, ...] | None = ("symile", "clip")

    def recipe(self, point: Point, objective: str) -> Recipe:
        """Return how an objective is trained at a point."""
        own = self.recipes.get(f"{point.dataset}-{point.languages}", self.recipes[point.dataset])
        rows = self.batches.get(f"{objective}/{point.modalities}", own.batch)
        return own if rows >= own.batch else replace(own, batch=rows)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as they are written to results.json."""
        return asdict(self)


def splits(train: int, validation: int, test: int) -> dict[str, int]:
    """Name the numbers of rows of the splits."""
    return {"train": train, "validation": validation, "test": test}


def xor_points(sizes: Mapping[int, Sequence[int]]) -> Iterator[Point]:
    """Points of complete XOR data with each encoder: modalities -> bits of a variable."""
    for modalities, dims in sizes.items():
        for encoder in (LINEAR, MLP):
            for bits in dims:
                yield Point(dataset="xor", modalities=modalities, dims=bits, encoder=encoder)


def pid_point(design: str) -> Point:
    """Return a point of complete PID data."""
    return Point(dataset="pid", modalities=3, design=design, encoder=MLP)


def m3_point(languages: int) -> Point:
    """Return a point of complete Symile-M3 data."""
    return Point(dataset="m3", modalities=3, languages=languages)


def missing_points(rates: Sequence[float]) -> Iterator[Point]:
    """Points at which every modality of XOR and of Symile-M3 data is missing at some rates."""
    for complete in (Point(dataset="xor", modalities=3, dims=3), m3_point(2)):
        for rate in rates:
            yield replace(complete, rate=rate)


_DESIGNS = ("redundant", "synergistic", "mixed")

VECTOR_ROWS = splits(10_000, 512, 1_024)
XOR_RECIPE = Recipe(
    dim=16, batch=128, weight_decay=0.01, steps=300, tuning_steps=150, lrs=(0.03, 0.1, 0.01), scales=(1.0, 0.25)
)
PID_RECIPE = Recipe(
    dim=32, batch=128, weight_decay=0.01, steps=400, tuning_steps=200, lrs=(0.01, 0.003), scales=(1.0, 0.25)
)
M3_RECIPE = Recipe(
    dim=128, batch=128, weight_decay=0.1, dropout=0.3, steps=500, tuning_steps=250, lrs=(0.003, 0.01), scales=(1.0, 4.0)
)
# The work of exact Symile grows with the batch to the power of the number of modalities.
BATCHES = {"symile-exact/3": 64, "symile-exact/4": 24}

PRESETS: Mapping[str, Plan] = {
    "full": Plan(
        points=(
            *xor_points({3: (1, 2, 3, 4, 5), 4: (1, 2, 3, 4, 5)}),
            *map(pid_point, _DESIGNS),
            *map(m3_point, (2, 5, 10)),
            *missing_points((0.25, 0.5, 0.75)),
        ),
        seeds=5,
        vector_rows=VECTOR_ROWS,
        m3_rows=splits(8_000, 1_000, 1_000),
        recipes={
            "xor": XOR_RECIPE,
            "pid": PID_RECIPE,
            "m3": M3_RECIPE,
            "m3-5": replace(M3_RECIPE, steps=1_000, tuning_steps=500),
            "m3-10": replace(M3_RECIPE, steps=2_000, tuning_steps=1_000),
        },
        batches=BATCHES,
    ),
    "small": Plan(
        points=(
            *xor_points({3: (2, 5), 4: (2,)}),
            *map(pid_point, _DESIGNS),
            m3_point(2),
            *missing_points((0.5,)),
        ),
        seeds=3,
        vector_rows=VECTOR_ROWS,
        m3_rows=splits(4_000, 500, 1_000),
        recipes={
            "xor": replace(XOR_RECIPE, lrs=(0.03, 0.1)),
            "pid": replace(PID_RECIPE, steps=200, tuning_steps=100, scales=(1.0,)),
            "m3": replace(M3_RECIPE, steps=300, tuning_steps=150, scales=(1.0,)),
        },
        batches=BATCHES,
    ),
}


def described(plan: Plan) -> Sequence[str]:
    """Describe a plan in sentences, for readers of its tables."""
    grids = [
        f"{name}: D = {recipe.dim}, {recipe.batch} rows a batch, {recipe.steps} steps; learning rates"
        f" {_listed(recipe.lrs)} and starts of the scale {_listed(recipe.scales)} times the objective's own, tuned for"
        f" {recipe.tuning_steps} steps"
        for name, recipe in plan.recipes.items()
    ]
    smaller = ", ".join(f"{rows} for {name}" for name, rows in plan.batches.items())
    return [
        "Encoders end in L2-normalised embeddings. AdamW with a warm-up over a tenth of the steps and a cosine decay. "
        + ". ".join(grids)
        + ".",
        "The learning rate and the start of the scale are chosen on the validation split with seed 0; the search ends"
        f" where validation is perfect. The test accuracies are of {counted(plan.seeds, 'seed')} with the chosen"
        " setting. Seeds pair the objectives: the same data, order of rows and initial encoders.",
        *([f"Rows a batch (objective/modalities): {smaller}."] if smaller else []),
    ]


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
