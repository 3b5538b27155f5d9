"""Commands that use a bundle: predict, explain, inspect, info, bench, serve, export, catalog."""
