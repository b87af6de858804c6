"""What several rooms of tests share: servers for a session, an Apache Kafka, and asking a broker simply."""
