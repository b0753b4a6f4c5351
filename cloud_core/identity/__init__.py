"""Who may connect to NATS, and what they may say: keys, JWTs, enrolment, certificates."""
