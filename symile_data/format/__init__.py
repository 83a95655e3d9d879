"""The format of one dataset on disk: schema, manifest and shards, each with its writer and reader, and verification."""
