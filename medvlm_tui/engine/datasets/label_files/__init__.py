"""Files that hold labels: CSV, TSV, Parquet, Excel."""
