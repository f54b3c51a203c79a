"""SendGrid and Twilio: build, send, verify, parse; the only importers of the vendor packages."""
