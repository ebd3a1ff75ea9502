"""The only makers of rows: `generate` samples a teacher, `import_` reads what teachers wrote."""
