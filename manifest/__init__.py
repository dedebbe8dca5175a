"""Sources of what vendors install; app.manifest makes the documents of one installation from them."""
