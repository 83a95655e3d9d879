"""Read images and audio of local Parquet shards without pyarrow, as views into memory that is used again.

The writers store media uncompressed, as pages of lengths and bytes, so that the bytes of a row are a part of the file.
pyarrow copies each of them twice into new memory, which costs more than everything else that a loader does with bytes
that it hands on undecoded. What is not stored in this plain way, or is damaged, is left to pyarrow.
"""
