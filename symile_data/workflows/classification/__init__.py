"""Predict label columns: probes on frozen embeddings, and supervised baselines beside them."""

from .probe import probe_runs

__all__ = ["probe_runs"]
