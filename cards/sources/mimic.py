"""The sources of Symile-MIMIC: three MIMIC releases, the published dataset, or invented records."""

from __future__ import annotations

from symile_data.datasets.confidential import is_synthetic
from symile_data.format.manifest import Manifest

from .base import Licence, Source, kind_of

CREDENTIALED_LICENCE = "physionet-credentialed-health-data-license-1.5.0"


def mimic_sources(manifest: Manifest) -> list[Source]:
    """Return the sources of Symile-MIMIC: three MIMIC releases, the published dataset, or invented records."""
    if is_synthetic(manifest):
        return [
            Source(
                part="Everything",
                origin="invented records in the layout of MIMIC's tables and files; no patient's data",
                licence="Apache-2.0",
                keys=("records", "cxr", "ecg"),
                synthetic=True,
            )
        ]
    credentialed = "PhysioNet Credentialed Health Data License 1.5.0"
    url = "https://physionet.org/content/{}/"
    if kind_of(manifest, "records") == "release":
        return [
            Source(
                part="Everything",
                origin="the published Symile-MIMIC 1.0.0, from MIMIC-IV 2.2, MIMIC-CXR-JPG 2.0.0, MIMIC-IV-ECG 1.0",
                licence=credentialed,
                url=url.format("symile-mimic"),
                bibtex=_MIMIC_BIBTEX,
                keys=("records",),
                synthetic=False,
            )
        ]
    return [
        Source(
            part="Admissions, labs",
            origin="MIMIC-IV",
            licence=credentialed,
            url=url.format("mimiciv"),
            bibtex=_MIMIC_BIBTEX,
            keys=("records",),
            synthetic=False,
        ),
        Source(
            part="Chest X-rays, findings",
            origin="MIMIC-CXR-JPG",
            licence=credentialed,
            url=url.format("mimic-cxr-jpg"),
            keys=("cxr",),
            synthetic=False,
        ),
        Source(
            part="Electrocardiograms",
            origin="MIMIC-IV-ECG",
            licence="Open Database License 1.0",
            url=url.format("mimic-iv-ecg"),
            keys=("ecg",),
            synthetic=False,
        ),
    ]


_MIMIC_BIBTEX = """@article{johnson2023mimiciv,
  title   = {MIMIC-IV, a freely accessible electronic health record dataset},
  author  = {Johnson, Alistair E. W. and Bulgarelli, Lucas and Shen, Lu and others},
  journal = {Scientific Data},
  volume  = {10},
  year    = {2023}
}"""


def mimic_licence(manifest: Manifest) -> Licence:
    """Return PhysioNet's licence, or that of this package for invented records."""
    if is_synthetic(manifest):
        return Licence(identifier="apache-2.0")
    return Licence(
        identifier="other",
        name=CREDENTIALED_LICENCE,
        url="https://physionet.org/about/licenses/physionet-credentialed-health-data-license-150/",
    )
