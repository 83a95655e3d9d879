"""Build a feature dataset: a copy of a dataset in which features of frozen encoders replace the inputs."""
