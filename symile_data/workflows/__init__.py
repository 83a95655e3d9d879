"""What the verbs `train`, `evaluate`, `embed` and `reproduce` do, without their command lines. Here loaders and
builders meet training and evaluation, which do not import them.

`training_data` opens a dataset directory for training, `train` trains one config on it, `evaluate` compares losses over
seeds, `trials` runs many experiments on several processes (`m3_trials`, `xor_trials`), and `embed` encodes media with
frozen models.
"""
