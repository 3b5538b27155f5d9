"""Where the animals of a photo are: boxes, and how they are found in what each place of a photo answers."""
