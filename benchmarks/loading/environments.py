"""An environment of its own for each peer, so that its versions and this project's stay apart."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

from .peers import Peer

MINUTES = 5  # after which an installation is given up


def python_of(peer: Peer, folder: Path | None) -> tuple[str, str]:
    """Return the interpreter for a peer, and why there is none.

    An environment sees the packages of this one, and what pip installs there goes before them.

    Args:
        peer: The peer.
        folder: Where environments are made and kept; None measures only what needs none.
    """
    if not peer.requirements:
        return sys.executable, ""
    if folder is None:
        return "", "not installed: run with --environments FOLDER"
    named = next(name for name in peer.requirements if not name.startswith("-"))
    place = folder / named.partition("==")[0]
    python, log = place / "bin/python", place / "pip.log"
    if not python.exists():
        venv.create(place, with_pip=False)
    packages = next(place.glob("lib/python*/site-packages"))
    (packages / "this_environment.pth").write_text("\n".join(_visible()))  # of this checkout, whichever made it
    if not (place / "installed").exists():
        if reason := _install(python, peer.requirements, log):
            return "", reason  # the next run tries again
        (place / "installed").touch()
    return str(python), ""


def _visible() -> list[str]:
    """Return the folders of packages that this interpreter sees."""
    own = [sysconfig.get_paths()["purelib"], str(Path(__file__).parents[2])]
    return [*own, *(path for path in sys.path if path.endswith("site-packages") and path not in own)]


def _install(python: Path, requirements: Sequence[str], log: Path) -> str:
    """Install packages; returns why it failed, "" if it did not."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    with log.open("w") as output:
        try:
            code = subprocess.run(command, stdout=output, stderr=output, timeout=60 * MINUTES, check=False).returncode
        except subprocess.TimeoutExpired:
            return f"pip did not end within {MINUTES} minutes"
    lines = [line for line in log.read_text().splitlines() if line.startswith("ERROR")]
    return "" if code == 0 else (lines or [f"pip ended with {code}"])[0][:200]
