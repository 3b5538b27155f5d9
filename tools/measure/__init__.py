"""What the numbers in the docs come from, a file for each page or section."""
