"""Synthetic MIMIC releases in the official layouts: invented patients, X-rays and electrocardiograms."""
