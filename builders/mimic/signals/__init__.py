"""X-rays and electrocardiograms: read from their files, checked, and prepared once for all rows."""
