"""Commands for making a bundle: audit, plan, train, evaluate, compare, checklist, grow, forget, plugins."""
