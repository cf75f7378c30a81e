"""From measurements to something a person can read: the results schema and the pages made of it."""
