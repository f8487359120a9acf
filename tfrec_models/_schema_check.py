"""Whether data was read by the schema that a model was made for."""


def check_schema(model, data):
    """Raises ValueError where `datasets.read` read data by a schema that is not the model's.

    Data frames and Arrow tables have a `schema` of their own, which says nothing of a model.
    """
    schema = getattr(data, "schema", None)
    if hasattr(schema, "check_model"):
        schema.check_model(model)
