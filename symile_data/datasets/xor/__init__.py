"""Binary XOR: information terms and Bayes rates, schema and invariants."""
