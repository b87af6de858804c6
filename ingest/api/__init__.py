"""The front door, `meterhouse serve`: events and OTLP by HTTP and gRPC, acknowledged once Kafka has them."""
