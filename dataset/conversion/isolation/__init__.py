"""The sandboxed process in which untrusted files are parsed."""
