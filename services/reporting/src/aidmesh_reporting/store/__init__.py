"""Every SQL statement of reporting: `facts` writes them, `results` adds them up."""
