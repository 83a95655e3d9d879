"""The losses need torch and nothing else: neither what the package always requires, nor another extra."""

from __future__ import annotations

import subprocess
import sys
import tomllib

from test_layers import REPOSITORY

HEAVY = (
    "pyarrow",
    "datasets",
    "pandas",
    "matplotlib",
    "typer",
    "PIL",
    "lightning",
    "scipy",
    "soundfile",
    "rich",
    "yaml",
)

# Whatever else is imported, with these the import itself fails: None in sys.modules stands for a package that is not
# installed.
ALONE = f"""
import sys
before = {HEAVY!r}
sys.modules.update(dict.fromkeys(before))
import torch
from symile_data.losses import BatchShape, GramLoss, MIPSimilarity, Symile, SymileLoss, all_objectives, make_objective
shape = BatchShape(modalities=3, dim=4, rows=5)
rows = [torch.nn.functional.normalize(torch.randn(5, 4), dim=1).requires_grad_() for _ in range(3)]
for name in all_objectives():
    make_objective(name, shape)(rows, torch.tensor(2.0)).backward()
Symile()(rows, 1.0), MIPSimilarity()(rows[0], rows[1:])
print([name for name in before if sys.modules.get(name) is not None])
"""


def said(code: str) -> str:
    return subprocess.check_output([sys.executable, "-c", code], text=True, timeout=120).strip()


def test_every_objective_works_where_only_torch_is_installed() -> None:
    assert said(ALONE) == "[]"


def test_importing_the_losses_loads_nothing_heavy() -> None:
    code = "import sys; from symile_data.losses import SymileLoss, GramLoss; "
    assert said(code + f"print([name for name in {HEAVY!r} if name in sys.modules])") == "[]"


def test_the_losses_extra_is_torch() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (torch,) = project["optional-dependencies"]["losses"]
    assert torch.startswith("torch>=") and torch in project["optional-dependencies"]["train"]
