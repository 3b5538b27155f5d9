"""Commands that lead to a bundle: audit, plan, train, evaluate, compare, checklist, grow, forget, plugins."""
