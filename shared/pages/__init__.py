"""Pages for people: layout, sign-in, texts."""
