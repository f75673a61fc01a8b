"""What is known of a run: kept while it goes on, and as JSON, table and page."""
