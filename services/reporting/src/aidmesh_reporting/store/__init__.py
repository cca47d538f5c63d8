"""Every SQL statement of reporting, by what it is about; `results` adds the facts up."""
