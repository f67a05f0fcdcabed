"""Programs that build, check and set up the repository; the standard library is enough for the set-up."""
