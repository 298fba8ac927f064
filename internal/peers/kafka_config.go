package peers

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

func (n *kafkaNode) config() string { return filepath.Join(n.dir, "server.properties") }

// settings of one broker: Kafka's own defaults but for the size of things, and for times that a test need not wait.
// The last word is the caller's.
func (c *KafkaCluster) settings(n *kafkaNode, more map[string]string) []byte {
	var voters []string
	for _, n := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", n.id, n.controller))
	}
	copies := len(c.nodes)
	s := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        fmt.Sprint(n.id),
		"controller.quorum.voters":       strings.Join(voters, ","),
		"listeners":                      fmt.Sprintf("PLAINTEXT://%s,INTERNAL://%s,CONTROLLER://%s", n.addr, n.internal, n.controller),
		"advertised.listeners":           fmt.Sprintf("PLAINTEXT://%s,INTERNAL://%s", n.advertised, n.internal),
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":     "INTERNAL",
		"controller.listener.names":      "CONTROLLER",
		"log.dirs":                       filepath.Join(n.dir, "data"),

		"default.replication.factor":               fmt.Sprint(copies),
		"min.insync.replicas":                      fmt.Sprint(min(2, copies)),
		"offsets.topic.replication.factor":         fmt.Sprint(copies),
		"offsets.topic.num.partitions":             "4",
		"transaction.state.log.replication.factor": fmt.Sprint(copies),
		"transaction.state.log.num.partitions":     "1",
		"transaction.state.log.min.isr":            fmt.Sprint(min(2, copies)),
		"auto.create.topics.enable":                "false",

		"group.initial.rebalance.delay.ms": "0",
		"group.min.session.timeout.ms":     "1000",
		"broker.session.timeout.ms":        "6000",
		"broker.heartbeat.interval.ms":     "1000",
		"log.retention.check.interval.ms":  "1000",
		"log.initial.task.delay.ms":        "1000",
		"log.cleaner.dedupe.buffer.size":   "4194304",
		"num.network.threads":              "2",
		"num.io.threads":                   "2",
		"background.threads":               "2",
	}
	maps.Copy(s, more)
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(s)) {
		b = fmt.Appendf(b, "%s=%s\n", k, s[k])
	}
	return b
}
