"""Defaults of a dataset: the config that suits its modalities, and the objectives that are compared on it."""

import pytest

from symile_data.datasets import XOR
from symile_data.errors import UsageError
from symile_data.training.config import named_configs
from symile_data.workflows.datasets import default_config, default_objectives

WITH_CODE = ["image", "audio", "text", "code"]


def test_defaults_name_bundled_configs() -> None:
    for dataset in ("symile-m3", "symile-mimic", XOR):
        assert default_config(dataset) in named_configs()
    for dataset, name in {"symile-m3": "m3-frozen", "symile-mimic": "mimic-frozen"}.items():
        assert default_config(dataset, ["features", "text"]) == name in named_configs()
    with pytest.raises(UsageError, match=r"no default config for this dataset.*other.*`config`"):
        default_config("other")
    with pytest.raises(UsageError, match=r"no default config for this dataset.*other.*`config`"):
        default_config("other", ["features"])


def test_datasets_with_keys_have_a_config_of_their_own() -> None:
    assert default_config("symile-m3", ["image"], WITH_CODE) == "m3-keys"
    assert default_config("symile-m3", ["image"], ["image", "audio", "text"]) == "m3-small"
    assert default_config("symile-m3", ["features", "vector"], WITH_CODE) == "m3-frozen"


def test_symile_pair_is_compared_where_there_are_keys() -> None:
    assert default_objectives("symile-m3", WITH_CODE) == ("symile-pair", "clip")
    for dataset, modalities in (("symile-m3", WITH_CODE[:3]), ("pid", WITH_CODE), (XOR, ["a", "b", "c"])):
        assert default_objectives(dataset, modalities) == ("symile", "clip")
