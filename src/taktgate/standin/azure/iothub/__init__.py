"""IoT Hub: identities, twins, queries, deployments, and its REST interface."""
