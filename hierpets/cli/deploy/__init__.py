"""Commands that use a bundle: predict, explain, inspect, bench, serve, export, catalog."""
