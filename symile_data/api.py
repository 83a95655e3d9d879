"""What `import symile_data` offers: every bundled build as one function. The heavy parts are imported when one runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from symile_data.arguments import PLACE, check_argument, field_types
from symile_data.cores import worker_count
from symile_data.errors import UsageError, choose_similar
from symile_data.format.schema import SPLITS

Rows = Mapping[str, int] | None


def build_m3(
    out: str | Path,
    *,
    langs: int | str | Sequence[str] = 10,
    rows: Rows = None,
    images: str | Path = "sample",
    workers: int = 0,
    **settings: Any,
) -> Path:
    """Build Symile-M3: an image, speech in some language, and a text that names the image's class in that language.

    The defaults need no network. A build that was interrupted goes on, and a finished one is left as it is.

    Args:
        out: Directory of the dataset.
        langs: 2, 5 or 10 for the paper's languages, or codes such as ["el", "en", "fr"] or "el,en,fr".
        rows: Split -> number of rows, for "train", "validation" and "test"; those left out keep 8,000, 1,000, 1,000.
        images: "sample" (drawn here), an ImageNet folder, or "hf:REPO[@REVISION]".
        workers: Worker processes; 0 for one for each core. The bytes do not depend on it.
        **settings: Further fields of `symile_data.builders.m3.spec.M3Spec`, such as `missing={"image": 0.5}`.

    Returns:
        The directory, for `open_split` or `datasets.load_dataset`.

    Raises:
        UsageError: settings are out of range or contradict each other.
        OutputError: the directory holds something else, or the disk refuses.
        MissingPackageError: the extra `m3` is not installed.
    """
    from symile_data.builders.m3.build import build_m3 as build
    from symile_data.builders.m3.images.hub import parse_hub
    from symile_data.builders.m3.spec import DEFAULT_ROWS, M3Spec
    from symile_data.builders.m3.text.languages import languages_of
    from symile_data.cards import write_card

    _check(out, rows, workers)
    check_argument("langs", langs, int | str | Sequence[str])
    check_argument("images", images, PLACE)
    languages = languages_of(str(langs) if isinstance(langs, (int, str)) else ",".join(langs))
    source = None if images == "sample" else (parse_hub(str(images)) or Path(images))
    spec = M3Spec(
        languages=languages,
        images=source,
        rows=_rows(rows, DEFAULT_ROWS),
        **{"words": len(languages), **_further(M3Spec, settings, ("languages", "images", "rows"))},
    )
    build(spec, Path(out), workers=worker_count(workers), write_card=write_card)
    return Path(out)


def build_mimic(out: str | Path, *, workers: int = 0, **settings: Any) -> Path:
    """Build Symile-MIMIC: a chest X-ray, an electrocardiogram and 50 blood tests of one hospital admission.

    Args:
        out: Directory of the dataset.
        workers: Worker processes; 0 for one for each core. The bytes do not depend on it.
        **settings: Fields of `symile_data.builders.mimic.spec.MimicSpec`: `roots=Roots(...)` for the real releases;
            without it admissions are invented.

    Returns:
        The directory, for `open_split` or `datasets.load_dataset`.

    Raises:
        UsageError: settings are out of range or contradict each other.
        OutputError: the directory holds something else, or the disk refuses.
        SourceError: a release lacks a file or a column.
        MissingPackageError: the extra `mimic` is not installed.
    """
    from symile_data.builders.mimic.build import build_mimic as build
    from symile_data.builders.mimic.spec import MimicSpec
    from symile_data.cards import write_card

    _check(out, None, workers)
    build(MimicSpec(**_further(MimicSpec, settings)), Path(out), workers=worker_count(workers), write_card=write_card)
    return Path(out)


def build_pid(
    out: str | Path, *, design: str | Any = "mixed", rows: Rows = None, workers: int = 0, **settings: Any
) -> Path:
    """Build data whose redundant, unique and synergistic information is set by a design and known exactly.

    Args:
        out: Directory of the dataset.
        design: A preset ("mixed", "xor", "xnor", "redundant", "trifeature") or a
            `symile_data.datasets.pid.design.Design`.
        rows: Split -> number of rows; splits left out keep the design's own numbers.
        workers: Worker processes; 0 for one for each core. The bytes do not depend on it.
        **settings: Further fields of `symile_data.builders.pid.spec.PidSpec`.

    Returns:
        The directory, for `open_split` or `datasets.load_dataset`.

    Raises:
        UsageError: the preset is unknown, or settings are out of range.
        OutputError: the directory holds something else, or the disk refuses.
        MissingPackageError: the design has images or audio, and the extra `m3` is not installed.
    """
    from symile_data.builders.pid.build import build_pid as build
    from symile_data.builders.pid.spec import PidSpec, default_rows
    from symile_data.cards import write_card
    from symile_data.datasets.pid import PRESETS
    from symile_data.datasets.pid.design import Design

    _check(out, rows, workers)
    check_argument("design", design, str | Design)
    if isinstance(design, str) and design not in PRESETS:
        raise UsageError("design names no preset", got=repr(design), do=f"choose among {', '.join(PRESETS)}")
    chosen = PRESETS[design] if isinstance(design, str) else design
    further = _further(PidSpec, settings, ("design", "rows"))
    spec = PidSpec(design=chosen, rows=_rows(rows, tuple(default_rows(chosen).values())), **further)
    build(spec, Path(out), workers=worker_count(workers), write_card=write_card)
    return Path(out)


def build_xor(out: str | Path, *, dims: int = 5, rows: Rows = None, workers: int = 1, **settings: Any) -> Path:
    """Build binary XOR, the paper's synthetic data: the last variable is the XOR of the others.

    Args:
        out: Directory of the dataset.
        dims: Bits of each variable.
        rows: Split -> number of rows; those left out keep 10,000, 1,000, 5,000.
        workers: Worker processes; 0 for one for each core. The bytes do not depend on it.
        **settings: Further fields of `symile_data.builders.xor.spec.XorSpec`, such as `variables=4`.

    Returns:
        The directory, for `open_split` or `datasets.load_dataset`.

    Raises:
        UsageError: settings are out of range.
        OutputError: the directory holds something else, or the disk refuses.
    """
    from symile_data.builders.xor.build import build_xor as build
    from symile_data.builders.xor.spec import DEFAULT_ROWS, XorSpec
    from symile_data.cards import write_card

    _check(out, rows, workers)
    spec = XorSpec(dims=dims, rows=_rows(rows, DEFAULT_ROWS), **_further(XorSpec, settings, ("dims", "rows")))
    build(spec, Path(out), workers=worker_count(workers), write_card=write_card)
    return Path(out)


def _check(out: object, rows: object, workers: object) -> None:
    """Refuse what all builds share, where it is of another type."""
    check_argument("out", out, PLACE)
    check_argument("rows", rows, Mapping[str, int] | None, 'write it like {"train": 200, "validation": 50}')
    check_argument("workers", workers, int)


def _further(spec: type, settings: Mapping[str, Any], taken: Collection[str] = ()) -> dict[str, Any]:
    """Return further fields of a spec, with paths in place of the texts that stand for them.

    Args:
        spec: The dataclass.
        settings: Field -> value.
        taken: Fields that the function sets by arguments of its own.

    Raises:
        UsageError: the spec has no such field, or the function sets it.
    """
    kinds = {name: kind for name, kind in field_types(spec).items() if name not in taken}
    unknown = [name for name in settings if name not in kinds]
    if unknown:
        raise UsageError("there is no such setting", got=unknown[0], do=choose_similar(unknown[0], list(kinds)))
    paths = {name for name in settings if Path in get_args(kinds[name])}
    return {
        name: Path(value) if name in paths and isinstance(value, str) else value for name, value in settings.items()
    }


def _rows(asked: Rows, defaults: Sequence[int]) -> dict[str, int]:
    """Return the rows of each split: those that are asked for, or the defaults.

    Raises:
        UsageError: a split is unknown.
    """
    unknown = [split for split in asked or {} if split not in SPLITS]
    if unknown:
        raise UsageError("`rows` names no split", got=repr(unknown[0]), do=f"choose among {', '.join(SPLITS)}")
    return {**dict(zip(SPLITS, defaults, strict=True)), **(asked or {})}
