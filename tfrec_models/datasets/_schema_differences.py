"""Where a model is not the one of a schema."""


def differences_of(schema, model):
    """Parts of a sentence, one for each table and input that differs; none where all agree."""
    ours = {table: (schema.num_ids(table), features) for table, features in schema.tables().items()}
    theirs = {
        config.name: (config.num_embeddings, list(config.feature_names))
        for config in model.embedding_bag_collection.embedding_bag_configs()
    }
    differences = [
        f"table {table!r}: the schema has {_shown(ours.get(table))}, the model "
        f"{_shown(theirs.get(table))}"
        for table in dict.fromkeys([*ours, *theirs])
        if ours.get(table) != theirs.get(table)
    ]
    num_dense = getattr(model, "dense_in_features", schema.num_dense)
    if num_dense != schema.num_dense:
        differences.append(
            f"dense features: the schema has {schema.num_dense}, the model {num_dense}"
        )
    if not differences and list(ours) != list(theirs):
        differences.append(f"tables: the schema has {list(ours)}, the model {list(theirs)}")
    return differences


def _shown(table):
    return "none" if table is None else f"{table[0]} ids for {table[1]}"
