"""The paper's experiments, as `symile-data reproduce` runs them: `xor` sweeps XOR data (figure 3), `m3` Symile-M3
(figure 4). Each trains at every point, draws a figure and writes tables; `results` says which.
"""
