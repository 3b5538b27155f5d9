"""Messages to people in their language, and the names of breeds in each language."""
