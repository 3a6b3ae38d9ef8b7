"""Changes documents of the live index in place: the changer and the job runner."""
