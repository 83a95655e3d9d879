"""Evaluation: zero-shot retrieval as in the paper, ablations that show what an accuracy rests on, bootstrap intervals,
and the comparison of losses over seeds.
"""
