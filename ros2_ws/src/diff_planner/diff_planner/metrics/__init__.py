"""One metric per file: numpy only, each value with its validity."""
