"""Count the statistics of a dataset card in bounded memory, and withhold those that may not be published."""
