"""Evidence as statements: tables of records with the file, line and time each row came from, in one embedded store."""
