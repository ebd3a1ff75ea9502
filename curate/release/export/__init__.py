"""A release for one trainer, tried under the student's own template first."""
