"""Build a feature dataset: another dataset whose media are replaced by what frozen encoders make of them."""
