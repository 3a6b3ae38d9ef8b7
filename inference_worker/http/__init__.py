"""The HTTP interface: routes, schemas, problem documents and event streams."""
