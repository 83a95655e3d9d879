"""The comparison of objectives: at which points, how long each trial trains and what is tuned, all in one place.

A point is a dataset with a kind of encoder. At each point every objective is tuned on the validation split over the
plan's grid of learning rates and starts of the scale, with one seed; the chosen setting is then trained with each seed
and tested. `PRESETS` holds the full plan and a small one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

XOR, M3, PID = "xor", "m3", "pid"
LINEAR, MLP = "linear", "mlp"
_M3_MODALITIES = _PID_MODALITIES = 3


@dataclass(frozen=True, kw_only=True, order=True)
class Point:
    """Where the objectives are compared.

    Args:
        dataset: "xor", "m3" or "pid".
        modalities: M.
        dims: Bits of a variable, for XOR; else 0.
        languages: Languages, for Symile-M3; else 0.
        design: Name in `objective_designs.DESIGNS`, for PID data; else "".
        encoder: "linear" or "mlp".
        rate: At which each modality of a training row is missing; validation and test rows are complete.
    """

    dataset: Literal["xor", "m3", "pid"]
    modalities: int
    dims: int = 0
    languages: int = 0
    design: str = ""
    encoder: str = LINEAR
    rate: float = 0.0

    @property
    def name(self) -> str:
        """Return the point's name in directories and tables.

        >>> Point(dataset="xor", modalities=3, dims=5, encoder="mlp", rate=0.5).name
        'xor-5-of-3-mlp-missing-0.5'
        """
        size = f"{self.dims}-of-{self.modalities}" if self.dataset == XOR else self.design or f"{self.languages}"
        missing = f"-missing-{self.rate:g}" if self.rate else ""
        return f"{self.dataset}-{size}-{self.encoder}{missing}"


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
    """All settings of the comparison.

    Args:
        seeds: Seeds of the tested trainings, from 0; tuning takes seed 0.
        xor: Points of complete XOR data: modalities -> bits of a variable.
        encoders: Encoders of the XOR points.
        languages: Points of complete Symile-M3 data.
        designs: Points of complete PID data, with "mlp" encoders.
        rates: Missing rates, at which only objectives that have a policy for missing modalities, and those of
            `filled`, are compared.
        masked_dims: Bits of a variable of the XOR data with missing modalities, of 3 variables with linear encoders.
        masked_languages: Languages of the Symile-M3 data with missing modalities.
        filled: Objectives without a policy that are compared at missing rates all the same: what is missing becomes
            the mean of the training rows, with an indicator, or for a text a token of its own.
        xor_rows: Rows of the splits of XOR and PID data.
        m3_rows: Rows of the Symile-M3 splits.
        recipes: Of the trials, by the name of the dataset, or "m3-10" for one number of languages.
        batches: (objective, modalities) -> rows of a batch, where the work of a whole batch is out of proportion.
    """

    seeds: int
    xor: Mapping[int, tuple[int, ...]]
    encoders: tuple[str, ...]
    languages: tuple[int, ...]
    designs: tuple[str, ...]
    rates: tuple[float, ...]
    masked_dims: int
    masked_languages: int
    filled: tuple[str, ...] = ("symile", "clip")
    xor_rows: Mapping[str, int]
    m3_rows: Mapping[str, int]
    recipes: Mapping[str, Recipe]
    batches: Mapping[str, int] = field(default_factory=dict)

    def points(self) -> list[Point]:
        """List the points, those of complete data first."""
        xor = [
            Point(dataset="xor", modalities=modalities, dims=bits, encoder=encoder)
            for modalities, dims in self.xor.items()
            for encoder in self.encoders
            for bits in dims
        ]
        pid = [Point(dataset="pid", modalities=_PID_MODALITIES, design=name, encoder=MLP) for name in self.designs]
        m3 = [Point(dataset="m3", modalities=_M3_MODALITIES, languages=number) for number in self.languages]
        masked = [
            point
            for rate in self.rates
            for point in (
                Point(dataset="xor", modalities=3, dims=self.masked_dims, rate=rate),
                Point(dataset="m3", modalities=_M3_MODALITIES, languages=self.masked_languages, rate=rate),
            )
            if point.dims or point.languages
        ]
        return [*xor, *pid, *m3, *sorted(masked, key=lambda point: (point.dataset != XOR, point.rate))]

    def recipe(self, point: Point, objective: str) -> Recipe:
        """Return how an objective is trained at a point."""
        own = self.recipes.get(f"{point.dataset}-{point.languages}", self.recipes[point.dataset])
        rows = self.batches.get(f"{objective}/{point.modalities}", own.batch)
        return own if rows >= own.batch else Recipe(**{**asdict(own), "batch": rows})

    def to_json(self) -> dict[str, Any]:
        """Return the settings as they are written to results.json."""
        return asdict(self)


def _recipe(common: Mapping[str, Any], **changes: Any) -> Recipe:
    return Recipe(**{**common, **changes})


def _splits(train: int, validation: int, test: int) -> dict[str, int]:
    return {"train": train, "validation": validation, "test": test}


_XOR_COMMON = {"dim": 16, "batch": 128, "weight_decay": 0.01}
_PID_COMMON = {"dim": 32, "batch": 128, "weight_decay": 0.01}
_DESIGNS = ("redundant", "synergistic", "mixed")
_M3_COMMON = {
    "dim": 128, "batch": 128, "weight_decay": 0.1, "dropout": 0.3, "lrs": (0.003, 0.01), "scales": (1.0, 4.0)
}  # fmt: skip
# The work of exact Symile grows with the batch to the power of the number of modalities.
_BATCHES = {"symile-exact/3": 64, "symile-exact/4": 24}

PRESETS: Mapping[str, Plan] = {
    "full": Plan(
        seeds=5,
        xor={3: (1, 2, 3, 4, 5), 4: (1, 2, 3, 4, 5)},
        encoders=(LINEAR, MLP),
        languages=(2, 5, 10),
        designs=_DESIGNS,
        rates=(0.25, 0.5, 0.75),
        masked_dims=3,
        masked_languages=2,
        xor_rows=_splits(10_000, 512, 1_024),
        m3_rows=_splits(8_000, 1_000, 1_000),
        recipes={
            "xor": _recipe(_XOR_COMMON, steps=300, tuning_steps=150, lrs=(0.03, 0.1, 0.01), scales=(1.0, 0.25)),
            "pid": _recipe(_PID_COMMON, steps=400, tuning_steps=200, lrs=(0.01, 0.003), scales=(1.0, 0.25)),
            "m3": _recipe(_M3_COMMON, steps=500, tuning_steps=250),
            "m3-5": _recipe(_M3_COMMON, steps=1_000, tuning_steps=500),
            "m3-10": _recipe(_M3_COMMON, steps=2_000, tuning_steps=1_000),
        },
        batches=_BATCHES,
    ),
    "small": Plan(
        seeds=3,
        xor={3: (2, 5), 4: (2,)},
        encoders=(LINEAR, MLP),
        languages=(2,),
        designs=_DESIGNS,
        rates=(0.5,),
        masked_dims=3,
        masked_languages=2,
        xor_rows=_splits(10_000, 512, 1_024),
        m3_rows=_splits(4_000, 500, 1_000),
        recipes={
            "xor": _recipe(_XOR_COMMON, steps=300, tuning_steps=150, lrs=(0.03, 0.1), scales=(1.0, 0.25)),
            "pid": _recipe(_PID_COMMON, steps=200, tuning_steps=100, lrs=(0.01, 0.003), scales=(1.0,)),
            "m3": _recipe(_M3_COMMON, steps=300, tuning_steps=150, scales=(1.0,)),
        },
        batches=_BATCHES,
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
        f" where validation is perfect. The test accuracies are of {plan.seeds} seeds with the chosen setting. Seeds"
        " pair the objectives: the same data, order of rows and initial encoders.",
        *([f"Rows a batch (objective/modalities): {smaller}."] if smaller else []),
    ]


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
