"""Which admissions are in Symile-MIMIC, what each of them has, and which split each of them belongs to."""
