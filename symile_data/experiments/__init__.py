"""The paper's experiments, apart from running them: what is compared at which points, what came out, and its figure."""
