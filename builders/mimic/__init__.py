"""Symile-MIMIC: hospital admissions with a chest X-ray, a 12-lead electrocardiogram and 50 blood tests."""
