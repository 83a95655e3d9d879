"""symile-data: build, load and learn from datasets of three and more modalities.

Importing this package is cheap: no torch, no polars, no transformers. The parts are modules of their own:
`symile_data.builders` writes datasets, `symile_data.loaders` reads them, `symile_data.losses` and
`symile_data.training` learn from them, `symile_data.cards` documents them. docs/architecture.md shows how they fit.
"""

__version__ = "0.1.0"
