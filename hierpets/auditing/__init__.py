"""Problems in a set of labeled photos, found before a model learns them."""
