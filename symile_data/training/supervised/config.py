"""What a supervised baseline predicts, and from which modalities: the setting `supervised` of a config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from symile_data.datasets.mimic.labels import LabelPolicy
from symile_data.errors import UsageError

UNIMODAL, EARLY, LATE, ALL = "unimodal", "early", "late", "all"
VAL_LOSS = "val_loss"  # the figure that selects the weights of a baseline, unless a config says otherwise


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig:
    """Settings of a supervised baseline.

    Args:
        fusion: "unimodal:MODALITY"; "early", a head on the concatenated embeddings; or "late", the mean of the logits
            of one head for each modality.
        labels: Columns that are predicted, all by the same network.
        policy: How columns of CheXpert's findings become classes.

    Raises:
        UsageError: there is no such fusion, or no label or one label twice.
    """

    fusion: str
    labels: tuple[str, ...]
    policy: LabelPolicy = field(default_factory=LabelPolicy)

    def __post_init__(self) -> None:
        kind, colon, name = self.fusion.partition(":")
        if not (self.fusion in (EARLY, LATE) or (kind == UNIMODAL and colon and name)):
            raise UsageError(
                "unknown supervised baseline",
                got=repr(self.fusion),
                do=f"choose among {UNIMODAL}:MODALITY, {EARLY} and {LATE}",
            )
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise UsageError(
                "a supervised baseline predicts different columns, at least one",
                got=", ".join(self.labels) or "none",
                do="name them with `labels`",
            )

    def modalities(self, there: Sequence[str]) -> list[str]:
        """Return the modalities that the baseline sees, of those of a dataset, in their order.

        Raises:
            UsageError: the dataset lacks the modality, or has only one to fuse.
        """
        kind, _, name = self.fusion.partition(":")
        if kind == UNIMODAL:
            if name not in there:
                raise UsageError("the dataset has no such modality", got=name, do=f"it has {', '.join(there)}")
            return [name]
        if len(there) < 2:
            raise UsageError("fusion needs at least two modalities", got=", ".join(there))
        return list(there)

    @property
    def run_name(self) -> str:
        """Name of the run's directory: that of the fusion, without a colon."""
        return self.fusion.replace(":", "-")


def all_fusions(modalities: Sequence[str]) -> list[str]:
    """List the baselines of a dataset: each modality alone, then early and late fusion where there are several.

    >>> all_fusions(["cxr", "labs"])
    ['unimodal:cxr', 'unimodal:labs', 'early', 'late']
    """
    return [*(f"{UNIMODAL}:{name}" for name in modalities), *([EARLY, LATE] if len(modalities) > 1 else [])]
