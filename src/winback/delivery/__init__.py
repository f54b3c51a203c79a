"""Plan what is due, pass the gate, claim, send, record; what providers report about it later."""
