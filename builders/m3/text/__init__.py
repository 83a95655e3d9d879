"""The texts of Symile-M3: languages, translations of the class names, and the sentences that are spoken."""
