"""From anything that holds rows to committed events: read, validate, identify, quarantine, commit."""
