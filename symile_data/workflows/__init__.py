"""What the verbs `train`, `evaluate`, `embed` and `reproduce` do, without their command lines. Here loaders and
builders meet training and evaluation, which do not import them.

`training_data` opens a dataset directory for training, `train` trains one config on it, `evaluate` compares objectives
over seeds, and `embed` encodes media with frozen models. `trials` runs many trainings on several processes: those of
the paper's experiments (`paper`), and those that compare all objectives (`objectives`).
"""
