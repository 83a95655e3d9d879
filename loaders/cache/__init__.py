"""Keep decoded values in memory or in a directory for later epochs and runs."""
