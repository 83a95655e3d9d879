"""The cohort of Symile-MIMIC: its admissions, their X-rays, ECGs and blood tests, their splits and candidates."""
