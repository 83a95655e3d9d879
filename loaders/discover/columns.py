"""One schema in plain types for the shards of a split, whoever wrote them.

Writers differ in ways that change no value: large or dictionary-encoded text, large binaries and lists, the order of
columns, a column that is null throughout one shard. `Split` reads all of these alike; any other difference in columns
or types is an error that names it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.format.location import Location
from symile_data.format.schema import Modality
from symile_data.format.shards import Shard

SAMPLE_ID = "sample_id"


def common_schema(location: Location, shards: Sequence[Shard]) -> pa.Schema:
    """Find the schema of all shards, in the order of the first one and with its metadata.

    Raises:
        DamageError: a shard has a column twice, or its columns or types differ from those of the first one.
    """
    first = shards[0].schema
    types: dict[str, pa.DataType] = {}
    for shard in shards:
        names = shard.schema.names
        for name, kind in zip(names, shard.schema.types, strict=True):
            if names.count(name) > 1:
                raise DamageError(
                    "a shard has a column twice", where=location.where(shard.name), got=name, do="rename one of them"
                )
            plain, known = plain_type(kind), types.get(name, pa.null())
            if (shard is not shards[0] and name not in types) or (plain != known and pa.null() not in (plain, known)):
                raise _differs(location, shard, f"{name} as {plain}, the first has {types.get(name, 'no such column')}")
            types[name] = known if pa.types.is_null(plain) else plain
        lacking = [name for name in types if name not in names]
        if lacking:
            raise _differs(location, shard, f"no column {lacking[0]}")
    return pa.schema([pa.field(name, kind) for name, kind in types.items()], metadata=first.metadata)


def _differs(location: Location, shard: Shard, got: str) -> DamageError:
    return DamageError(
        "a shard has other columns or types than the first one",
        where=location.where(shard.name),
        got=got,
        do="fetch it again, or build the dataset again",
    )


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the plain type for a type: one that holds the same values and that every decoder reads.

    >>> print(plain_type(pa.dictionary(pa.int32(), pa.large_string())), plain_type(pa.large_list(pa.large_binary())))
    string list<item: binary>
    """
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, plain_type(field.type))


def holds_files(kind: pa.DataType) -> bool:
    """Whether a column's values are whole files: bytes, or a struct of bytes and a path as `datasets` has it.

    >>> holds_files(pa.struct([("bytes", pa.binary()), ("path", pa.string())])), holds_files(pa.string())
    (True, False)
    """
    if pa.types.is_struct(kind):
        parts = [field.type for field in kind if field.name == "bytes"]
        return len(parts) == 1 and bool(pa.types.is_binary(parts[0]))
    return bool(pa.types.is_binary(kind))


def as_schema(table: pa.Table, schema: pa.Schema, columns: Sequence[str], where: str) -> pa.Table:
    """Select the named columns of a table, in this order and cast to the types of the schema.

    Raises:
        DamageError: a column cannot be cast.
    """
    names = list(dict.fromkeys(columns))
    wanted = pa.schema([schema.field(name) for name in names], metadata=schema.metadata)
    found = table.select(names)
    try:
        return found if found.schema.equals(wanted) else found.cast(wanted)
    except pa.ArrowException as error:
        raise DamageError("columns cannot be read in plain types", where=where, got=str(error)[:200]) from None


def check_special_columns(schema: pa.Schema, modalities: Sequence[Modality], where: str) -> None:
    """Refuse masks that are not bool and ids that are not integers.

    Raises:
        DamageError: the message names the column and its type.
    """
    for modality in modalities:
        if modality.mask in schema.names and not pa.types.is_boolean(schema.field(modality.mask).type):
            raise DamageError(
                f"the mask column {modality.mask} is not bool",
                where=where,
                got=schema.field(modality.mask).type,
                do=f"store it as bool, True where {modality.name} is absent, or rename it",
            )
    if SAMPLE_ID in schema.names and not pa.types.is_integer(schema.field(SAMPLE_ID).type):
        raise DamageError(
            f"the column {SAMPLE_ID} does not hold whole numbers",
            where=where,
            got=schema.field(SAMPLE_ID).type,
            do="rename it: rows without ids are numbered",
        )
