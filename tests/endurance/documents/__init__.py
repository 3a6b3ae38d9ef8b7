"""The generated documents: pages whose text names their version, and the folder of the builds."""
