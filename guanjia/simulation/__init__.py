"""A seeded life of Guanglong Tower under a virtual clock, lived through the real services' real doors."""
