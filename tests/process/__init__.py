"""Real processes: every test ends what it started, and looks whether it has."""
