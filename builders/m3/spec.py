"""The settings of a Symile-M3 build. They are checked when they are made, and the manifest stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from symile_data.arguments import check_fields, check_rows
from symile_data.datasets.m3.keys import KEYS, check_keys
from symile_data.datasets.m3.schema import m3_modalities
from symile_data.datasets.m3.words import Mode
from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS
from symile_data.format.shards import check_format
from symile_data.missingness import check_rates
from symile_data.reliability import Reliability

from .images.hub import HubImages
from .images.imagenet import check_size
from .text.translate import Engine

Audio = Literal["espeak", "gtts", "common-voice"]
SplitPolicy = Literal["disjoint", "shared"]
Layout = Literal["shards", "pooled"]

# The published release's sizes: rows of train, validation and test.
SIZES = {
    "xs": (500_000, 25_000, 25_000),
    "s": (1_000_000, 50_000, 50_000),
    "m": (5_000_000, 250_000, 250_000),
    "l": (10_000_000, 500_000, 500_000),
}
DEFAULT_ROWS = (8_000, 1_000, 1_000)


@dataclass(frozen=True, kw_only=True)
class M3Spec:
    """What to build.

    Args:
        languages: Sorted language codes.
        words: Words in a text, the target included.
        mode: How the other words are drawn; see `symile_data.datasets.m3.words`.
        rows: Rows of each split; 0 leaves a split out.
        split_policy: "disjoint" gives each split its own images, recordings and sentences; "shared" repeats the
            paper, where nearly every test image is also a training image.
        images: An ImageNet folder, a repository of the Hub, or None for the sample images.
        audio: Source of the speech: "espeak", "gtts" or "common-voice".
        recordings: The Common Voice folder, for audio "common-voice".
        sentences: A table of sentences, or None for the bundled ones.
        names: A names table, or None for the bundled one.
        engine: Online engine that translates the names, or None.
        manual: A table of single names that replace those of the names table.
        skip_unnamed_classes: Leave out the classes that lack a name in one of the languages, instead of refusing.
        cache: Directory of online answers; None is the user's cache directory.
        strict: Stop where an online engine fails, instead of using the bundled name or voice.
        missing: Modality -> rate, from 0 to 1, at which it is made missing in the training and validation splits.
        missing_test: Make modalities missing in the test split too.
        image_size: Largest shorter side of an image in pixels; None keeps originals.
        shard_format: "parquet" or "webdataset".
        seed: Seed of all random draws.
        plan: Tables of a published dataset whose rows are rebuilt; they decide rows, words and split policy.
        layout: "shards" stores the media in every row; "pooled" is the deduplicated layout, which stores every image
            and recording once, in separate tables.
        keys: Keys beside the language of the audio, each a further modality; with them the sum of all keys names the
            language of the word that counts. See `symile_data.datasets.m3.keys`.
        reliability: Rates at which modalities are misaligned or noisy; texts have no noise.
    """

    languages: tuple[str, ...]
    words: int
    mode: Mode = "disjoint"
    rows: Mapping[str, int] = field(default_factory=lambda: dict(zip(SPLITS, DEFAULT_ROWS, strict=True)))
    split_policy: SplitPolicy = "disjoint"
    images: Path | HubImages | None = None
    audio: Audio = "espeak"
    recordings: Path | None = None
    sentences: Path | None = None
    names: Path | None = None
    engine: Engine | None = None
    manual: Path | None = None
    skip_unnamed_classes: bool = False
    cache: Path | None = None
    strict: bool = False
    missing: Mapping[str, float] = field(default_factory=dict)
    missing_test: bool = False
    image_size: int | None = None
    shard_format: str = "parquet"
    seed: int = 0
    plan: Path | None = None
    layout: Layout = "shards"
    keys: tuple[str, ...] = ()
    reliability: Reliability = field(default_factory=Reliability)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.layout not in get_args(Layout):
            raise UsageError("unknown `layout`", got=repr(self.layout), do="choose shards or pooled")
        if self.layout == "pooled" and self.shard_format != "parquet":
            raise UsageError(
                "the pooled layout consists of Parquet tables",
                got=f"`shard_format={self.shard_format!r}`",
                do="leave one out",
            )
        if self.split_policy not in get_args(SplitPolicy):
            raise UsageError("unknown `split_policy`", got=repr(self.split_policy), do="choose disjoint or shared")
        check_rows(self.rows)
        if self.audio not in get_args(Audio):
            raise UsageError(
                "unknown `audio`", got=repr(self.audio), do=f"choose {', '.join(get_args(Audio))} (with :PATH)"
            )
        if (self.audio == "common-voice") != (self.recordings is not None):
            raise UsageError(
                "`audio='common-voice'` needs a folder", do="write it like `recordings='/data/cv-corpus-19.0'`"
            )
        if self.sentences is not None and self.audio == "common-voice":
            raise UsageError("`sentences` are for synthetic speech, not for `audio='common-voice'`")
        if self.keys:
            self._check_keys()
        if self.plan is not None:
            self._check_plan()
        elif self.mode == "overlap" and len(self.languages) == 2 and self.words > 2:
            raise UsageError(
                "with `mode='overlap'` and two languages the text alone answers every row: the target is its only word "
                "in one language, all others are in the other",
                got=f"`words={self.words}`",
                do="take `words=2`, more languages or `mode='disjoint'`",
            )
        self._check_reliability()
        check_rates(self.missing)
        check_format(self.shard_format)
        check_size(self.image_size)

    def _check_reliability(self) -> None:
        modalities = m3_modalities(self.keys)
        # The numbers of a code are no bits.
        numbers = {modality.name: "numbers" for modality in modalities if modality.kind == "vector"}
        object.__setattr__(self, "reliability", replace(self.reliability, noise_kinds=numbers))
        self.reliability.check({modality.name: modality.kind for modality in modalities})
        if self.reliability.noisy and self.layout == "pooled":
            raise UsageError(
                "with `layout='pooled'` rows share their images and recordings, and a noisy one belongs to one row",
                got=f"`noisy` {', '.join(self.reliability.noisy)}",
                do="take `layout='shards'`, or leave out `noisy`",
            )
        if self.reliability and self.plan is not None:
            raise UsageError("`plan` brings its rows as they were published", do="leave out `misaligned` and `noisy`")

    def _check_keys(self) -> None:
        check_keys(self.keys)
        # Equal keys in any order are the same build.
        object.__setattr__(self, "keys", tuple(name for name in KEYS if name in self.keys))
        if self.plan is not None:
            raise UsageError("`plan` brings its texts, in which the audio alone names the word", do="leave out `keys`")
        if self.mode != "disjoint":
            raise UsageError(
                "with `keys` every word has a language of its own, so that their sum names one word",
                got=f"`mode={self.mode!r}`",
                do="take `mode='disjoint'`, or leave out `keys`",
            )
        if self.words != len(self.languages):
            raise UsageError(
                "with `keys` a text has one word in each language, so that every sum of keys names a word",
                got=f"`words={self.words}` and {len(self.languages)} languages",
                do="take as many words as languages",
            )
        for key in (KEYS[name] for name in self.keys):
            if len(self.languages) > key.most_values:
                raise UsageError(
                    f"the key {key.name} shows at most {key.most_values} different values",
                    got=f"{len(self.languages)} languages",
                    do="choose another key or fewer languages",
                )

    def _check_plan(self) -> None:
        if not isinstance(self.images, Path) or self.audio != "common-voice":
            raise UsageError(
                "`plan` needs the sources that the plan was made from",
                do="give `images=PATH` (ImageNet) and `recordings`",
            )
        if self.engine is not None or self.manual is not None:
            raise UsageError(
                "`plan` brings its texts, so names cannot be translated or corrected",
                do="leave out `manual`, and give the release's translations.json with `names`",
            )
        if self.skip_unnamed_classes:
            raise UsageError(
                "`plan` brings its rows, so no class can be left out of them", do="leave out `skip_unnamed_classes`"
            )

    def to_json(self) -> dict[str, Any]:
        """As stored in the manifest: no paths (contents are fingerprinted in its `sources`)."""
        return {
            "seed": self.seed,
            "rows": dict(self.rows),
            "languages": list(self.languages),
            "words": self.words,
            "mode": self.mode,
            "split_policy": self.split_policy,
            "images": "sample" if self.images is None else "imagenet",
            "audio": self.audio,
            "translations": self._names_kind(),
            "missing": {name: rate for name, rate in self.missing.items() if rate},
            "missing_test": self.missing_test,
            "image_size": self.image_size,
            **self.reliability.to_json(),
            "format": self.shard_format,
            "layout": self.layout,
            **({"skip_unnamed_classes": True} if self.skip_unnamed_classes else {}),
            **({"keys": list(self.keys)} if self.keys else {}),
        }

    def _names_kind(self) -> str:
        if self.plan is not None:
            return "release"
        return self.engine or ("bundled" if self.names is None else "table")
