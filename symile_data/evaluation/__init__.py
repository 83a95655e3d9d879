"""Evaluation: zero-shot retrieval as in the paper, and ablations that show what an accuracy rests on."""
