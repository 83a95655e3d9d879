"""Write what a run or a dataset holds in a form that other tools read."""
