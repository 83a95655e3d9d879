"""Symile-M3: the rule of its words, its class names, its accuracy ceilings, schema and invariants."""
