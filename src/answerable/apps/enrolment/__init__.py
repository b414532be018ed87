"""The enrolment endpoint, at which running workloads obtain, renew and give up an identity."""
