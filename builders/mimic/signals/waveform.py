"""Read and check one electrocardiogram from a WFDB record: 12 leads x 5000 samples of int16 in units of 5 microvolts.

MIMIC-IV-ECG's records are all alike (format 16, one file, 200 units per mV), so their int16 are read directly, 40 times
faster than with the package wfdb. Records with any other header are read with wfdb.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from symile_data.datasets.mimic.schema import LEADS, NAN_VALUE, RATE_HZ, SAMPLES, UNITS_PER_MV

_RECORD_LINE = re.compile(rf"\S+ {len(LEADS)} {RATE_HZ}(?:\.0*)? {SAMPLES}(?: .*)?")
# file, format, gain with baseline, unit, resolution, zero, first value, checksum, block size, lead
_SIGNAL_LINE = re.compile(r"(\S+) 16 (\d{1,9}(?:\.\d*)?)\((-?\d{1,9})\)/mV \d+ (-?\d+) -?\d+ -?\d+ 0 (\S+)")
_WFDB_ERRORS = (OSError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RuntimeError, MemoryError)
_MOST_HEADER_BYTES = 1 << 16
_MOST_DATA_BYTES = 1 << 24  # a record of MIMIC-IV-ECG has 120 KB

Signal = npt.NDArray[np.int16]


class UnusableRecordError(Exception):
    """A record is unusable; the text is the reason under which it is counted.

    Args:
        reason: The reason, as drop counts show it.
        filtered: Whether the public pipeline also leaves out such a record. If not, it stops or fails later.
    """

    def __init__(self, reason: str, *, filtered: bool = False) -> None:
        super().__init__(reason)
        self.filtered = filtered


def read_signal(record: Path, *, allow_constant: bool = False) -> Signal:
    """Read a record and check its signal.

    Args:
        record: Path of the record's files without suffix.
        allow_constant: Accept a record whose samples are all equal and not zero, as the public pipeline does (its
            scaling then divides by zero).

    Returns:
        (12, 5000) int16 in the order of `LEADS`, 200 units per mV.

    Raises:
        UnusableRecordError: files are missing or disagree, the record is not 12 leads of 5000 samples at 500 Hz, a
            sample is unknown, or all samples are zero or equal.
    """
    data = record.with_name(record.name + ".dat")
    try:
        header = _header(record.with_name(record.name + ".hea"))
        leads = plain_leads(header, data.name)
        if not data.is_file():
            raise FileNotFoundError
        if data.stat().st_size > _MOST_DATA_BYTES:
            raise UnusableRecordError("header and data disagree")
        if leads is None:
            signal = _through_wfdb(record)
        else:
            raw = np.fromfile(data, dtype="<i2")
            if len(raw) != len(LEADS) * SAMPLES:
                raise UnusableRecordError("header and data disagree")
            signal = np.ascontiguousarray(raw.reshape(SAMPLES, len(LEADS)).T[[leads.index(lead) for lead in LEADS]])
    except FileNotFoundError:
        raise UnusableRecordError("file not found") from None
    _check(signal, allow_constant)
    return signal


def _header(path: Path) -> str:
    if not path.is_file():  # reading a pipe would never end
        raise FileNotFoundError
    with path.open("rb") as file:
        text = file.read(_MOST_HEADER_BYTES + 1)
    if len(text) > _MOST_HEADER_BYTES:
        raise UnusableRecordError("header and data disagree")
    return text.decode("ascii", "replace")


def plain_leads(header: str, data_name: str) -> tuple[str, ...] | None:
    """Return the leads in file order if the header has exactly MIMIC-IV-ECG's form, else None."""
    lines = [line.strip() for line in header.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != len(LEADS) + 1 or not _RECORD_LINE.fullmatch(lines[0]):
        return None
    leads = []
    for line in lines[1:]:
        match = _SIGNAL_LINE.fullmatch(line)
        if match is None or match[1] != data_name or float(match[2]) != UNITS_PER_MV or int(match[3]) != 0:
            return None
        leads.append(match[5])
    return tuple(leads) if sorted(leads) == sorted(LEADS) else None


def _through_wfdb(record: Path) -> Signal:
    """Read any record that wfdb understands, rounded to units of 5 microvolts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # every fault that matters is refused below, with its reason
        return _read_through_wfdb(record)


def _read_through_wfdb(record: Path) -> Signal:
    import wfdb

    try:
        told = wfdb.rdheader(str(record))
        # Checked first, since rdrecord allocates memory and opens files as these numbers and names say.
        shape = (told.fs, told.n_sig, told.sig_len if told.sig_len is not None else SAMPLES)
        if shape != (RATE_HZ, len(LEADS), SAMPLES) or set(told.samps_per_frame) != {1} or any(told.skew):
            raise UnusableRecordError("not 12 leads of 5000 samples at 500 Hz in mV")
        if set(told.file_name) != {f"{record.name}.dat"}:
            raise UnusableRecordError("header and data disagree")
        read = wfdb.rdrecord(str(record))
        names: list[str] = list(read.sig_name or ())
        volts = read.p_signal
        units = {unit.lower() for unit in read.units or ()}  # mv, as in the headers of PhysioNet's challenges, is mV
    except FileNotFoundError:
        raise
    except _WFDB_ERRORS:
        raise UnusableRecordError("header and data disagree") from None
    if read.fs != RATE_HZ or volts is None or volts.shape != (SAMPLES, len(LEADS)) or units != {"mv"}:
        raise UnusableRecordError("not 12 leads of 5000 samples at 500 Hz in mV")
    if sorted(names) != sorted(LEADS):
        raise UnusableRecordError("leads differ from the 12 standard ones")
    if np.isnan(volts).any():
        raise UnusableRecordError("a sample is unknown", filtered=True)
    scaled = np.rint(volts.T[[names.index(lead) for lead in LEADS]] * UNITS_PER_MV)
    if np.abs(scaled).max() > -(NAN_VALUE + 1):
        raise UnusableRecordError("amplitude beyond 163 mV")
    return np.ascontiguousarray(scaled.astype(np.int16))


def _check(signal: Signal, allow_constant: bool) -> None:
    if (signal == NAN_VALUE).any():
        raise UnusableRecordError("a sample is unknown", filtered=True)
    if not signal.any():
        raise UnusableRecordError("all samples are zero", filtered=True)
    if not allow_constant and signal.min() == signal.max():
        raise UnusableRecordError("all samples are equal")
