"""Write predictions as records: as text lines, to Parquet files, and from a cluster."""
