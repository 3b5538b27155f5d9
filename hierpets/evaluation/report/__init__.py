"""The HTML report: figures, words, gallery."""
