"""The contracts of the bundled datasets: schemas, rules and invariants that builders, loaders and cards share."""

# The names of the bundled datasets in their manifests.
M3 = "symile-m3"
MIMIC = "symile-mimic"
PID = "pid"
XOR = "xor"

BUNDLED = (M3, MIMIC, XOR, PID)
