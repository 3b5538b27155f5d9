"""All metrics of an evaluation, and the schema that defines each."""
