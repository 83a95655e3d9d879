"""What a dataset card counts, in bounded memory, and what of it may be published."""
