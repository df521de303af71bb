"""Property files: loader, property, roster, service levels, scope, calendar."""
