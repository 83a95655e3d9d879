"""Admissions in the Medical Event Data Standard (MEDS 0.4): one event a line, by patient and time."""
