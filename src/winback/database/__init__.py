"""Tables, column types, engine, bulk writes and migrations."""
