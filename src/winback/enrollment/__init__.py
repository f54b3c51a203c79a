"""Who enters a campaign, in which arm, and how far each has come on its timeline."""
