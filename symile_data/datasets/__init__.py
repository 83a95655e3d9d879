"""The contracts of the bundled datasets: schemas, rules and invariants that builders, loaders and cards share."""
