"""The embedding tables of a model."""

from tfrec_models._compat.keras import all_layers
from tfrec_models.embeddings.embedding_tables import EmbeddingTables


def tables_in(model):
    """Returns all layers of a model that own embedding tables, each once."""
    return [layer for layer in all_layers(model) if isinstance(layer, EmbeddingTables)]
