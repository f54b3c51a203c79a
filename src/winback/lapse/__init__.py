"""Who has lapsed: the calendar rule, and the query that finds them."""
