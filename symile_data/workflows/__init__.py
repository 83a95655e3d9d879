"""What the verbs `train`, `evaluate`, `embed` and `reproduce` do, apart from their command lines: here loaders and
builders meet training and evaluation, which know nothing of them.

`data` is a dataset directory as training sees it, `baseline` trains one config on it, `experiment` compares losses over
seeds, `trials` runs many experiments on several processes (`m3_trials`, `xor_trials`), `embedding` encodes media with
frozen models.
"""
