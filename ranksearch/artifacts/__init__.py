"""Files that leave a process: what the machines of a study share, and the networks and ranks that users take away."""
