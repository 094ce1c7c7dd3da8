"""The inside of bulk imports: from a stored file to rows in the database."""
