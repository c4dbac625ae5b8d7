"""One rule for every parser: whatever the bytes, a result or an error of this package, soon and in few words."""
