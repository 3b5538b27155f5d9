"""Predictions as records: in lines, Parquet files, and from a cluster."""
