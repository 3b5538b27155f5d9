"""Every number of an evaluation, and the schema that says what each means."""
