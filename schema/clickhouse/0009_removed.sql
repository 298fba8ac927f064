-- What policy removed from full spools: of which class, and whose. `gaps` has one row a run of messages; what each Thing
-- lost is counted beside it, so that its owner can be told without every identity.
ALTER TABLE {{.Database}}.gaps {{.Cluster}}
    ADD COLUMN IF NOT EXISTS owner_class LowCardinality(String) COMMENT 'class that was removed; empty = whatever was there / 被删除的所有者类别，空为全部' AFTER reason;

CREATE TABLE IF NOT EXISTS {{.Database}}.gap_shares {{.Cluster}}
(
    gateway     LowCardinality(String) COMMENT 'producer: gateway / 网关',
    epoch       UInt32 COMMENT 'producer: epoch / 纪元',
    lane        UInt8 COMMENT 'producer: lane / 通道',
    seq         UInt64 COMMENT 'last of the messages that this counts / 末条消息序号' CODEC(Delta, ZSTD(3)),
    thing       UInt64 COMMENT 'Thing they were of, 0 = they named none / 物的键' CODEC(ZSTD(3)),
    owner       LowCardinality(String) COMMENT 'owner, where thing is 0 and a dead letter named one / 所有者',
    hour        DateTime('UTC') COMMENT 'hour they had arrived in / 到达时刻所在小时' CODEC(Delta, ZSTD(3)),
    messages    UInt64 COMMENT 'messages removed / 被删除的消息数' CODEC(ZSTD(3)),
    at          DateTime64(3, 'UTC') COMMENT 'when they were removed / 删除时间' CODEC(Delta, ZSTD(3)),
    reason      LowCardinality(String) COMMENT 'spool_full or horizon / 原因',
    owner_class LowCardinality(String) COMMENT 'class / 所有者类别'
)
ENGINE = {{.Engine "ReplacingMergeTree"}}
PARTITION BY toYYYYMM(hour)
ORDER BY (gateway, epoch, lane, seq, thing, owner, hour)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

CREATE VIEW IF NOT EXISTS {{.Database}}.removed {{.Cluster}}
(
    hour        DateTime('UTC') COMMENT 'hour of arrival / 到达时刻所在小时',
    owner       String COMMENT 'owner; empty = nobody can say / 所有者',
    thing       String COMMENT 'owner/name; empty = the messages named none, or it is not registered / 物的标识',
    owner_class LowCardinality(String) COMMENT 'class it was removed as / 所有者类别',
    reason      LowCardinality(String) COMMENT 'spool_full, or horizon: older than its class is kept / 原因',
    messages    UInt64 COMMENT 'messages that a full spool removed / 因缓存已满而删除的消息数',
    removed_at  DateTime64(3, 'UTC') COMMENT 'when the last of them were / 删除时间',
    gateway     LowCardinality(String) COMMENT 'gateway / 网关'
)
AS SELECT hour, if(key = 0, toString(named), dictGet('{{.Database}}.thing_dict', 'owner', key)) AS owner,
    if(key = 0, '', dictGet('{{.Database}}.thing_dict', 'id', key)) AS thing,
    owner_class, reason, sum(n) AS messages, max(at) AS removed_at, gateway
FROM
(
    SELECT hour, thing AS key, owner AS named, owner_class, reason, messages AS n, at, gateway FROM {{.Database}}.gap_shares FINAL
)
GROUP BY hour, owner, thing, owner_class, reason, gateway;
