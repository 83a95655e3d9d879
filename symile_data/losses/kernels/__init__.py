"""The products and sums behind the objectives: exact over all combinations, or sampled."""
