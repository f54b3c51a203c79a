"""Stand-ins for SendGrid and Twilio over real HTTP on loopback.

They imitate what the providers document, keep their own record of all they accepted, and post
signed webhooks back. They import nothing above the ground floor, so that they share no mistake
with the code that they check.
"""
