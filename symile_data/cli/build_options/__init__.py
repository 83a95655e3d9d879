"""The options of the verbs `build` and `plan`, declared once for both."""
