"""Commands that lead to a bundle: audit, train, evaluate, compare, checklist, plugins."""
