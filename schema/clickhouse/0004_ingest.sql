-- What the ingester writes beside the rows. All of it may be written twice: the key is the identity.

-- One row a block of the log, written after the block's rows and before its offset is committed: who has it has the rows.
CREATE TABLE IF NOT EXISTS {{.Database}}.ingest_blocks {{.Cluster}}
(
    log               String COMMENT 'hexadecimal id of the log / 日志编号',
    partition         Int32 COMMENT 'partition of the log / 分区',
    block_from        Int64 COMMENT 'first offset / 起始偏移',
    block_to          Int64 COMMENT 'offset after the last / 结束偏移（不含）',
    watermark_gateway Array(LowCardinality(String)) COMMENT 'producers and the highest seq of each after this block / 各生产者的最高序号：网关',
    watermark_epoch   Array(UInt32) COMMENT 'the same: epoch / 纪元',
    watermark_lane    Array(UInt8) COMMENT 'the same: lane / 通道',
    watermark_seq     Array(UInt64) COMMENT 'the same: seq / 序号',
    messages          UInt64 COMMENT 'messages taken / 消息数',
    observations      UInt64 COMMENT 'rows / 观测数',
    duplicates        UInt64 COMMENT 'messages dropped because seen before / 重复消息数',
    dead_letters      UInt64 COMMENT 'dead letters / 死信数',
    declarations      UInt64 COMMENT 'declarations handed to the registry / 登记声明数',
    gaps              UInt64 COMMENT 'gap records / 缺口数',
    empties           Map(LowCardinality(String), UInt64) COMMENT 'messages that rightly have no row, by reason / 无观测消息，按原因',
    written_at        DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'clock of the store / 写入时间'
)
ENGINE = {{.Engine "ReplacingMergeTree" "written_at"}}
ORDER BY (log, partition, block_from, block_to)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- (datastream, phenomenon_time) of which there may be more than one row. history looks only here for repeats.
-- A pair too many costs time, never truth.
CREATE TABLE IF NOT EXISTS {{.Database}}.repeats {{.Cluster}}
(
    datastream      UInt64 COMMENT 'Datastream id / 数据流编号',
    phenomenon_time DateTime64(3, 'UTC') COMMENT 'when the result held / 观测时间'
)
ENGINE = {{.Engine "ReplacingMergeTree"}}
ORDER BY (datastream, phenomenon_time)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

CREATE TABLE IF NOT EXISTS {{.Database}}.deadletter_versions {{.Cluster}}
(
    gateway      LowCardinality(String) COMMENT 'identity: gateway / 标识：网关',
    epoch        UInt32 COMMENT 'identity: epoch / 标识：纪元',
    lane         UInt8 COMMENT 'identity: lane / 标识：通道',
    seq          UInt64 COMMENT 'identity: message / 标识：消息序号',
    idx          UInt16 COMMENT 'identity: value inside the message / 标识：消息内序号',
    arrival_time DateTime64(3, 'UTC') COMMENT 'clock of the gateway at arrival / 网关到达时间',
    reason       LowCardinality(String) COMMENT 'one word / 原因',
    detail       String COMMENT 'what, where and how to mend it / 说明',
    topic        String COMMENT 'MQTT topic / 主题',
    protocol     LowCardinality(String) COMMENT 'protocol / 协议',
    owner        LowCardinality(String) COMMENT 'who may see it / 所有者',
    thing        String COMMENT 'owner/name, if it got that far / 物的标识',
    field        String COMMENT 'name of the value, if only one was refused / 字段',
    source       LowCardinality(String) COMMENT 'configured source / 来源',
    client       String COMMENT 'MQTT client id / 客户端',
    size         UInt64 COMMENT 'bytes of the whole payload / 报文字节数',
    payload      String COMMENT 'the payload, cut after 16 KiB / 报文（截断）' CODEC(ZSTD(3)),
    state        LowCardinality(String) DEFAULT 'open' COMMENT 'open or resolved / 状态',
    version      UInt64 DEFAULT 1 COMMENT 'greatest counts / 版本'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
PARTITION BY toYYYYMM(arrival_time)
ORDER BY (arrival_time, gateway, epoch, lane, seq, idx)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

CREATE TABLE IF NOT EXISTS {{.Database}}.gaps {{.Cluster}}
(
    gateway  LowCardinality(String) COMMENT 'producer: gateway / 网关',
    epoch    UInt32 COMMENT 'producer: epoch / 纪元',
    lane     UInt8 COMMENT 'producer: lane / 通道',
    seq_from UInt64 COMMENT 'first message removed / 起始序号',
    seq_to   UInt64 COMMENT 'last message removed / 结束序号（含）',
    at       DateTime64(3, 'UTC') COMMENT 'when it was removed / 删除时间',
    reason   LowCardinality(String) COMMENT 'policy that removed it / 原因'
)
ENGINE = {{.Engine "ReplacingMergeTree"}}
ORDER BY (gateway, epoch, lane, seq_from, seq_to)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

CREATE VIEW IF NOT EXISTS {{.Database}}.deadletters {{.Cluster}}
(
    arrival_time DateTime64(3, 'UTC') COMMENT 'clock of the gateway at arrival / 网关到达时间',
    reason       LowCardinality(String) COMMENT 'one word / 原因',
    detail       String COMMENT 'what, where and how to mend it / 说明',
    topic        String COMMENT 'MQTT topic / 主题',
    protocol     LowCardinality(String) COMMENT 'protocol / 协议',
    owner        LowCardinality(String) COMMENT 'who may see it / 所有者',
    thing        String COMMENT 'owner/name, if it got that far / 物的标识',
    field        String COMMENT 'name of the value, if only one was refused / 字段',
    source       LowCardinality(String) COMMENT 'configured source / 来源',
    client       String COMMENT 'MQTT client id / 客户端',
    size         UInt64 COMMENT 'bytes of the whole payload / 报文字节数',
    payload      String COMMENT 'the payload, cut after 16 KiB / 报文（截断）',
    state        LowCardinality(String) COMMENT 'open or resolved / 状态',
    gateway      LowCardinality(String) COMMENT 'identity: gateway / 标识：网关',
    epoch        UInt32 COMMENT 'identity: epoch / 标识：纪元',
    lane         UInt8 COMMENT 'identity: lane / 标识：通道',
    seq          UInt64 COMMENT 'identity: message / 标识：消息序号',
    idx          UInt16 COMMENT 'identity: value inside the message / 标识：消息内序号'
)
AS SELECT arrival_time, reason, detail, topic, protocol, owner, thing, field, source, client, size, payload, state,
    gateway, epoch, lane, seq, idx
FROM {{.Database}}.deadletter_versions FINAL;
