"""Supervised baselines on the encoders of a config: one modality, early fusion and late fusion."""
