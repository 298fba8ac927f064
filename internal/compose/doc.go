// Package compose holds tests of what runs situ at scale: docker-compose.yml, by the compose specification's own rules
// (compose-go) and by situ's; the Dockerfile; and the same commands with the same arguments, natively, against real
// Kafka, Mosquitto and PostgreSQL. There is no container engine here: that images build and start is not tested.
package compose
