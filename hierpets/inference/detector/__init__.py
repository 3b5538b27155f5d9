"""A small animal detector, and its uses: a second look at doubtful photos, and the search for other animals."""
