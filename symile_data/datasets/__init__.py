"""What each bundled dataset promises: schemas, rules and invariants that builders, loaders and cards share."""
