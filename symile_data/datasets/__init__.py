"""The contracts of the bundled datasets: schemas, rules and invariants that builders, loaders and cards share."""

BUNDLED = ("symile-m3", "symile-mimic", "xor", "pid")  # their names in manifests
