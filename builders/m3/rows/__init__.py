"""The rows of Symile-M3: drawn by the plan or read from a published table, as columns and as shards."""
