"""One dataset on disk: schema, manifest and shards, every writer beside its reader, and the checks of all of it."""
