-- Where a dead letter came from, to the packet and to the block of the log, and what replaying it has come to. The row
-- of the greatest version counts; a letter keeps its key for ever, and the observations it becomes take its identity.
ALTER TABLE {{.Database}}.deadletter_versions {{.Cluster}}
    ADD COLUMN IF NOT EXISTS user LowCardinality(String) COMMENT 'MQTT user name it came under / MQTT 用户名' AFTER client,
    ADD COLUMN IF NOT EXISTS broker LowCardinality(String) COMMENT 'broker of a pulled source; empty = the embedded one / 上游消息服务器' AFTER user,
    ADD COLUMN IF NOT EXISTS packet UInt16 COMMENT 'MQTT packet id, 0 for QoS 0 / MQTT 报文标识符' AFTER broker,
    ADD COLUMN IF NOT EXISTS qos UInt8 COMMENT 'MQTT QoS / MQTT 服务质量' AFTER packet,
    ADD COLUMN IF NOT EXISTS readings String COMMENT 'which readings of the payload, from 0; empty = the whole message / 对应的读数序号' AFTER qos,
    ADD COLUMN IF NOT EXISTS log String COMMENT 'log it was read from, hexadecimal / 日志编号' AFTER readings,
    ADD COLUMN IF NOT EXISTS partition Int32 COMMENT 'partition of the log / 日志分区' AFTER log,
    ADD COLUMN IF NOT EXISTS block_from Int64 COMMENT 'first offset of the block it was read in / 所在块起始偏移' AFTER partition,
    ADD COLUMN IF NOT EXISTS block_to Int64 COMMENT 'offset after that block / 所在块结束偏移（不含）' AFTER block_from,
    ADD COLUMN IF NOT EXISTS tries UInt32 COMMENT 'how often it was replayed / 重放次数' AFTER block_to,
    ADD COLUMN IF NOT EXISTS rows_from Int64 COMMENT 'least phenomenonTime a replay ever meant to store, Unix ms / 重放最早观测时间（毫秒）' AFTER tries,
    ADD COLUMN IF NOT EXISTS rows_to Int64 COMMENT 'greatest one, Unix ms; 0 = never any / 重放最晚观测时间（毫秒）' AFTER rows_from,
    ADD COLUMN IF NOT EXISTS row_idxs Array(UInt16) COMMENT 'idx of every observation it became / 已生成观测的序号' AFTER rows_to,
    ADD COLUMN IF NOT EXISTS pending UInt8 COMMENT '1: a replay is storing, or was killed while it did; replay again / 1 表示重放尚未完成' AFTER row_idxs,
    ADD COLUMN IF NOT EXISTS changed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when this version was written / 本版本写入时间' AFTER pending;

ALTER TABLE {{.Database}}.deadletter_versions {{.Cluster}}
    COMMENT COLUMN payload 'the payload, cut after 2 MiB; the first letter of a message has it for all / 报文（2 MiB 后截断）';

CREATE OR REPLACE VIEW {{.Database}}.deadletters {{.Cluster}}
(
    id           String COMMENT 'name of the letter: gateway:epoch:lane:seq:idx / 死信标识',
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
    user         LowCardinality(String) COMMENT 'MQTT user name it came under / MQTT 用户名',
    broker       LowCardinality(String) COMMENT 'broker of a pulled source; empty = the embedded one / 上游消息服务器',
    packet       UInt16 COMMENT 'MQTT packet id, 0 for QoS 0 / MQTT 报文标识符',
    qos          UInt8 COMMENT 'MQTT QoS / MQTT 服务质量',
    size         UInt64 COMMENT 'bytes of the whole payload / 报文字节数',
    payload      String COMMENT 'the payload, cut after 2 MiB; the first letter of a message has it for all / 报文（2 MiB 后截断）',
    readings     String COMMENT 'which readings of the payload, from 0; empty = the whole message / 对应的读数序号',
    state        LowCardinality(String) COMMENT 'open or resolved / 状态',
    tries        UInt32 COMMENT 'how often it was replayed / 重放次数',
    changed_at   DateTime64(3, 'UTC') COMMENT 'when it was last written or replayed / 最后写入或重放时间',
    row_idxs     Array(UInt16) COMMENT 'idx of every observation it became / 已生成观测的序号',
    pending      UInt8 COMMENT '1: a replay is storing, or was killed while it did; replay again / 1 表示重放尚未完成',
    log          String COMMENT 'log it was read from, hexadecimal / 日志编号',
    partition    Int32 COMMENT 'partition of the log / 日志分区',
    block_from   Int64 COMMENT 'first offset of the block it was read in / 所在块起始偏移',
    block_to     Int64 COMMENT 'offset after that block / 所在块结束偏移（不含）',
    gateway      LowCardinality(String) COMMENT 'identity: gateway / 标识：网关',
    epoch        UInt32 COMMENT 'identity: epoch / 标识：纪元',
    lane         UInt8 COMMENT 'identity: lane / 标识：通道',
    seq          UInt64 COMMENT 'identity: message / 标识：消息序号',
    idx          UInt16 COMMENT 'identity: value inside the message / 标识：消息内序号'
)
AS SELECT concat(gateway, ':', toString(epoch), ':', if(lane = 1, 'backfill', 'live'), ':', toString(seq), ':', toString(idx)) AS id,
    arrival_time, reason, detail, topic, protocol, owner, thing, field, source, client, user, broker, packet, qos, size, payload,
    readings, state, tries, changed_at, row_idxs, pending, log, partition, block_from, block_to, gateway, epoch, lane, seq, idx
FROM {{.Database}}.deadletter_versions FINAL;
