"""A one-shot step: writes what the application waits for, and ends."""
import pathlib

pathlib.Path("/data/schema").write_text("1\n")
print("migrated", flush=True)
