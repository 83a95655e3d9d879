"""Training: named configs, the Lightning module that works for any dataset of ours, fitting, and what a run leaves
on disk.
"""
