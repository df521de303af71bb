"""A service's database: engine, bulk statements, types, migrations."""
