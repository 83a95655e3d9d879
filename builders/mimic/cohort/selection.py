"""Select the admissions of the dataset and their X-rays, ECGs and blood tests by rules in order, with a cohort flow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.datasets.mimic.icd import CHAPTER_COLUMNS
from symile_data.datasets.mimic.schema import LEAST_MODALITIES, STAY_COLUMNS
from symile_data.files import atomic_path, digest
from symile_data.format.manifest import Dropped, FlowStep

from ...engine.build_dir import INTERNAL, Artifact, BuildDir
from ...engine.executor import run_stage
from ..signals.media import CXR, ECG, Prepared, prepare
from ..spec import MimicSpec, Roots
from ..tables import DIAGNOSES, LABEVENTS
from ..tables.files import find_optional_table, find_table
from .admissions import read_admissions
from .cxr import Radiographs, find_radiographs, read_findings
from .diagnoses import read_chapters
from .ecg import Electrocardiograms, find_electrocardiograms
from .flow import CohortFlow
from .labs import LabValues, first_labs, lab_values
from .splits import check_sizes

if TYPE_CHECKING:
    import polars as pl

_HAS_CXR = "with a frontal chest X-ray 24 to 72 hours after admission"
_HAS_FILE = "with the file of such an X-ray"
_HAS_FINDINGS = "with CheXpert labels of that X-ray"
_HAS_ECG = "with an electrocardiogram within 24 hours of admission"
_HAS_LABS = "with a blood test within 24 hours of admission"
_READS_CXR = "with an X-ray that can be read"
_READS_ECG = "with a valid electrocardiogram"

_MICROSECONDS_A_DAY = 86_400_000_000

Choices = Mapping[int, list[str]]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The contents of tables and file listings, before any X-ray or ECG is read; `dropped` counts lines left out, and
    `diagnoses` is the table of diagnoses, where there is one.
    """

    roots: Roots
    admissions: pl.DataFrame
    radiographs: Radiographs
    electrocardiograms: Electrocardiograms
    findings: pl.DataFrame
    dropped: list[Dropped]
    diagnoses: Path | None = None

    @property
    def stay_columns(self) -> tuple[str, ...]:
        """The columns about the stay that these tables give, in the order of `STAY_COLUMNS`."""
        chapters = () if self.diagnoses is None else CHAPTER_COLUMNS
        found = {"admittime", "length_of_stay_days", *self.admissions.columns, *chapters}
        return tuple(name for name in STAY_COLUMNS if name in found)


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The N admissions of a dataset, in the admissions table's order.

    Args:
        table: `subject_id`, `hadm_id`, `gender`, `age` and those of `STAY_COLUMNS` that the tables give; `cxr_path`,
            `dicom_id`, `cxr_study_id`, `view`, `cxr_hours` and the findings; `ecg_path`, `ecg_study_id`, `ecg_hours`:
            null where that modality is missing.
        labs: The laboratory values of the N rows.
        cxr: The prepared X-rays.
        ecg: The prepared electrocardiograms.
        cohort_flow: The rules and how many admissions each left.
        dropped: Media and entries that could not be used.
        unusable: Kind of media -> path below its root -> why it could not be used.
    """

    table: pl.DataFrame
    labs: LabValues
    cxr: Prepared
    ecg: Prepared
    cohort_flow: list[FlowStep]
    dropped: list[Dropped]
    unusable: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.table) != len(self.labs.values):  # rows would get other admissions' values
            raise ValueError(f"{len(self.table)} admissions, but the laboratory values of {len(self.labs.values)}")


def survey_sources(roots: Roots, spec: MimicSpec) -> Survey:
    """Read the small tables and list the files of the candidates.

    Raises:
        SourceError: a table or folder is missing or damaged.
    """
    find_table(roots, LABEVENTS)  # it is read last, so check now that it exists
    admissions, of_admissions = read_admissions(roots, spec.reference)
    radiographs = find_radiographs(roots, admissions, spec)
    electrocardiograms = find_electrocardiograms(roots, admissions, spec)
    findings, of_findings = read_findings(roots)
    return Survey(
        roots=roots,
        admissions=admissions,
        radiographs=radiographs,
        electrocardiograms=electrocardiograms,
        findings=findings,
        dropped=[*of_admissions, *radiographs.dropped, *of_findings, *electrocardiograms.dropped],
        diagnoses=find_optional_table(roots, DIAGNOSES),
    )


def select_cohort(build_dir: BuildDir, executor: Executor | None, survey: Survey, spec: MimicSpec) -> Cohort:
    """Apply every rule; media are read only for admissions that passed the rules before.

    Raises:
        SourceError: a source is damaged, or no admission is left; the message then shows the cohort flow.
        UsageError: splits or retrieval sets ask for more admissions than there are; raised before media are read.
    """
    cxr_choices = _choices(survey.radiographs.candidates)
    ecg_choices = _choices(survey.electrocardiograms.candidates)
    flow = CohortFlow(survey.admissions["hadm_id"].to_list())
    rule = flow.count if spec.allow_missing else flow.keep
    rule(_HAS_CXR, survey.radiographs.in_window)
    rule(_HAS_FILE, cxr_choices)
    if spec.reference:
        rule(_HAS_FINDINGS, _labelled(survey))
    rule(_HAS_ECG, ecg_choices)
    first, of_labs = _first_labs(build_dir, survey, flow.hadm_ids, spec)
    with_labs = frozenset(first["hadm_id"].to_list())
    rule(_HAS_LABS, with_labs)
    if spec.allow_missing:
        enough = _enough(flow.hadm_ids, cxr_choices, ecg_choices, with_labs)
        flow.keep("with at least two of the three", enough)

    flow.require_any()
    check_sizes(spec, len(flow.hadm_ids))
    chapters, of_diagnoses = _chapters(build_dir, survey, flow.hadm_ids)
    root, reference = survey.roots, spec.reference
    cxr = prepare(build_dir, executor, CXR, root.mimic_cxr, _of(cxr_choices, flow.hadm_ids), reference)
    chosen_cxr = _chosen(cxr, cxr_choices, flow.hadm_ids)
    rule(_READS_CXR, chosen_cxr)
    ecg = prepare(build_dir, executor, ECG, root.mimic_ecg, _of(ecg_choices, flow.hadm_ids), reference)
    chosen_ecg = _chosen(ecg, ecg_choices, flow.hadm_ids)
    rule(_READS_ECG, chosen_ecg)
    if spec.allow_missing:
        enough = _enough(flow.hadm_ids, chosen_cxr, chosen_ecg, with_labs)
        flow.keep("with at least two of the three that can be read", enough)
    flow.require_any()
    return Cohort(
        table=_table(survey, flow.hadm_ids, chosen_cxr, chosen_ecg, chapters),
        labs=lab_values(first, flow.hadm_ids),
        cxr=cxr,
        ecg=ecg,
        cohort_flow=flow.steps,
        dropped=[*survey.dropped, *of_labs, *of_diagnoses, *cxr.dropped, *ecg.dropped],
        unusable={CXR.noun: cxr.unusable, ECG.noun: ecg.unusable},
    )


def _choices(candidates: pl.DataFrame) -> Choices:
    """Map each admission to its paths in order of preference."""
    grouped = candidates.group_by("hadm_id", maintain_order=True).agg("path")
    return dict(zip(grouped["hadm_id"].to_list(), grouped["path"].to_list(), strict=True))


def _of(choices: Choices, hadm_ids: list[int]) -> Choices:
    return {hadm_id: choices[hadm_id] for hadm_id in hadm_ids if hadm_id in choices}


def _chosen(prepared: Prepared, choices: Choices, hadm_ids: list[int]) -> dict[int, str]:
    """Map each admission to the first of its files that can be used; admissions without one are left out."""
    found = {hadm_id: prepared.first_usable(choices.get(hadm_id, ())) for hadm_id in hadm_ids}
    return {hadm_id: path for hadm_id, path in found.items() if path is not None}


def _enough(hadm_ids: list[int], *having: Collection[int]) -> set[int]:
    return {hadm_id for hadm_id in hadm_ids if sum(hadm_id in some for some in having) >= LEAST_MODALITIES}


def _labelled(survey: Survey) -> set[int]:
    """Find the admissions whose first X-ray has CheXpert labels."""
    first = survey.radiographs.candidates.unique("hadm_id", keep="first", maintain_order=True)
    return set(first.join(survey.findings, on="study_id", how="semi")["hadm_id"].to_list())


@dataclass(frozen=True)
class _LabsTask:
    path: Path
    admissions: pl.DataFrame
    reference: bool
    stay: bool


def _first_labs(
    build_dir: BuildDir, survey: Survey, hadm_ids: list[int], spec: MimicSpec
) -> tuple[pl.DataFrame, list[Dropped]]:
    """Read labevents, the one long table, as a journaled stage: an interrupted build does not repeat it."""
    import polars as pl

    admissions = survey.admissions.filter(pl.col("hadm_id").is_in(hadm_ids))
    task = _LabsTask(find_table(survey.roots, LABEVENTS), admissions, spec.reference, spec.within_stay)
    artifact = Artifact(path=f"{INTERNAL}/labs.arrow", arguments=task, key=digest(hadm_ids))
    (made,) = run_stage(build_dir, "blood tests", [artifact], _make_labs, None)
    return pl.read_ipc(build_dir.directory / artifact.path), [Dropped(**entry) for entry in made.result["dropped"]]


def _make_labs(task: _LabsTask, path: Path) -> dict[str, Any]:
    first, dropped = first_labs(task.path, task.admissions, reference=task.reference, stay=task.stay)
    with atomic_path(path) as temporary:
        first.write_ipc(temporary)
    return {"values": len(first), "dropped": [asdict(entry) for entry in dropped]}


@dataclass(frozen=True)
class _DiagnosesTask:
    path: Path
    admissions: pl.DataFrame


def _chapters(build_dir: BuildDir, survey: Survey, hadm_ids: list[int]) -> tuple[pl.DataFrame | None, list[Dropped]]:
    """Read the table of diagnoses, where there is one, as a journaled stage."""
    import polars as pl

    if survey.diagnoses is None:
        return None, []
    admissions = survey.admissions.filter(pl.col("hadm_id").is_in(hadm_ids)).select("hadm_id", "subject_id")
    task = _DiagnosesTask(survey.diagnoses, admissions)
    artifact = Artifact(path=f"{INTERNAL}/chapters.arrow", arguments=task, key=digest(hadm_ids))
    (made,) = run_stage(build_dir, "diagnoses", [artifact], _make_chapters, None)
    return pl.read_ipc(build_dir.directory / artifact.path), [Dropped(**entry) for entry in made.result["dropped"]]


def _make_chapters(task: _DiagnosesTask, path: Path) -> dict[str, Any]:
    chapters, dropped = read_chapters(task.path, task.admissions)
    with atomic_path(path) as temporary:
        chapters.write_ipc(temporary)
    return {"admissions": len(chapters), "dropped": [asdict(entry) for entry in dropped]}


def _stays(survey: Survey, hadm_ids: list[int], chapters: pl.DataFrame | None) -> pl.DataFrame:
    """Describe patient and stay of each admission by the columns that the tables give."""
    import polars as pl

    stays = survey.admissions.filter(pl.col("hadm_id").is_in(hadm_ids)).with_columns(
        length_of_stay_days=days_between(pl.col("admittime"), pl.col("stay_until")),
        admittime=pl.col("admittime").dt.strftime("%Y-%m-%d %H:%M:%S%.f"),
    )
    if chapters is not None:
        stays = stays.join(chapters, on="hadm_id", how="left", maintain_order="left", validate="1:1")
    return stays.select("subject_id", "hadm_id", "gender", "age", *survey.stay_columns)


def days_between(first: pl.Expr, last: pl.Expr) -> pl.Expr:
    """Compute the days from one time to another, float64; null where a time is unknown."""
    return (last - first).dt.total_microseconds() / _MICROSECONDS_A_DAY


def _table(
    survey: Survey,
    hadm_ids: list[int],
    cxr: Mapping[int, str],
    ecg: Mapping[int, str],
    chapters: pl.DataFrame | None,
) -> pl.DataFrame:
    import polars as pl

    def described(candidates: pl.DataFrame, chosen: Mapping[int, str]) -> pl.DataFrame:
        schema = {"hadm_id": pl.Int64(), "path": pl.String()}
        pairs = pl.DataFrame({"hadm_id": list(chosen), "path": list(chosen.values())}, schema=schema)
        return pairs.join(candidates, on=["hadm_id", "path"], how="left", maintain_order="left", validate="1:1")

    radiographs = (
        described(survey.radiographs.candidates, cxr)
        .join(survey.findings, on="study_id", how="left", maintain_order="left", validate="m:1")
        .rename({"path": "cxr_path", "study_id": "cxr_study_id", "hours": "cxr_hours"})
    )
    records = described(survey.electrocardiograms.candidates, ecg).rename(
        {"path": "ecg_path", "study_id": "ecg_study_id", "hours": "ecg_hours"}
    )
    kept = _stays(survey, hadm_ids, chapters)
    return kept.join(radiographs, on="hadm_id", how="left", maintain_order="left", validate="1:1").join(
        records, on="hadm_id", how="left", maintain_order="left", validate="1:1"
    )
