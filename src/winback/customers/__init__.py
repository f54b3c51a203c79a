"""Who a customer is, what they allowed, what they refused, and what they may ask of us."""
