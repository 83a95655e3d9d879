"""The rule that every complete row of an XOR dataset obeys, for `symile-data verify`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.format.id_set import IdSet, sample_ids
from symile_data.format.manifest import Manifest
from symile_data.noise import with_flips
from symile_data.reliability import Reliability

from .schema import VECTOR


class XorInvariants:
    """Check that the last variable is the XOR of the others or a copy of the first.

    At p_hat 1 it must be the XOR, at p_hat 0 a copy. Flipped bits are flipped back first; rows with a misaligned
    variable are left to the comparison with their donors.

    Args:
        manifest: Manifest of the dataset.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._names = [modality.name for modality in manifest.modalities]
        self._raw = all(modality.kind == VECTOR for modality in manifest.modalities)  # not embeddings of them
        self._p_hat = manifest.identity.spec["p_hat"]
        self._seed = manifest.identity.spec["seed"]
        self._reliability = Reliability.of(manifest.identity.spec)
        self._sample_ids = IdSet()

    def check(self, split: str, table: pa.Table) -> Iterator[str]:
        """Yield the problems of the rows of one shard."""
        if self._sample_ids.add(sample_ids(table)).any():
            yield f"a sample_id occurs twice in {split} or in an earlier shard"
        apart = [*(f"{name}_missing" for name in self._names)]
        apart += [f"{name}_misaligned" for name in self._names if name in self._reliability.misaligned]
        complete = ~np.any([table[column].to_numpy() for column in apart], axis=0)
        rows = table.filter(pa.array(complete))
        if not rows.num_rows or not self._raw:
            return
        values = np.stack([self._without_noise(rows, name) for name in self._names])
        if not np.isin(values, (0.0, 1.0)).all():
            yield "a value is neither 0 nor 1"
        bits = values > 0.5
        is_xor = (bits[-1] == np.logical_xor.reduce(bits[:-1], axis=0)).all(axis=1)
        is_copy = (bits[-1] == bits[0]).all(axis=1)
        allowed = {1.0: is_xor, 0.0: is_copy}.get(self._p_hat, is_xor | is_copy)
        wrong = np.flatnonzero(~allowed)
        if len(wrong):
            sample = rows["sample_id"][int(wrong[0])].as_py()
            yield f"sample {sample}: {self._names[-1]} has a value that p_hat = {self._p_hat} does not allow"

    def _without_noise(self, rows: pa.Table, name: str) -> npt.NDArray[np.float32]:
        values = np.array(rows[name].to_pylist(), dtype=np.float32)
        if name in self._reliability.noisy:
            noisy = rows[f"{name}_noisy"].to_numpy()
            level = self._reliability.noise_level(name, VECTOR)
            values[noisy] = with_flips(values[noisy], self._seed, sample_ids(rows)[noisy], name, level)
        return values

    @property
    def disjoint_media(self) -> bool:
        """False: values have few bits, so splits share them."""
        return False

    @property
    def reads_media(self) -> bool:
        """Whether a rule looks into the bytes of images and audio."""
        return False

    def check_media(self, table: pa.Table) -> Iterator[str]:
        """Yield nothing, since XOR data have no media."""
        yield from ()

    def finish(self) -> Iterator[str]:
        """Yield nothing: `check` already compares the ids of all shards."""
        yield from ()
