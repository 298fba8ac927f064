-- One row an observation. docs/formats/raw-table.md says why each codec is what it is.
-- {{.Cluster}} and {{.Engine "..."}} are empty and plain on the embedded engine, ON CLUSTER and Replicated... on a cluster.
CREATE TABLE IF NOT EXISTS situ.observations {{.Cluster}}
(
    cell            UInt64 CODEC(ZSTD(3)) COMMENT 'H3 cell of resolution 12, 0 = no position / H3 网格（12级），0 表示无位置',
    thing           UInt64 CODEC(ZSTD(3)) COMMENT 'ThingKey: xxHash64 of owner/name / 物的64位键',
    datastream      UInt64 CODEC(ZSTD(3)) COMMENT 'Datastream id / 数据流编号',
    property        UInt16 CODEC(ZSTD(3)) COMMENT 'number in the property catalogue, 0 = not in it / 观测属性编号，0 表示目录中没有',
    phenomenon_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'when the result held / 观测时间',
    result_lag      Int64 CODEC(ZSTD(3)) COMMENT 'resultTime - phenomenonTime, ms / 结果时间滞后（毫秒）',
    arrival_time    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'clock of the gateway at arrival / 网关到达时间',
    decimals        Int8 CODEC(ZSTD(3)) COMMENT 'decimals of result_scaled, -1 = result_float holds the result / 小数位数，-1 表示浮点存储',
    result_scaled   Int32 CODEC(Delta, ZSTD(3)) COMMENT 'result in units of 10^-decimals / 定点结果',
    result_float    Float64 CODEC(ZSTD(3)) COMMENT 'result where no exact whole number exists / 浮点结果',
    result_text     String CODEC(ZSTD(3)) COMMENT 'result that is a word / 文本结果',
    lon             Int32 CODEC(Delta, ZSTD(3)) COMMENT '1e-7 degrees WGS 84, -2147483648 = none / 经度',
    lat             Int32 CODEC(Delta, ZSTD(3)) COMMENT '1e-7 degrees WGS 84, -2147483648 = none / 纬度',
    quality         UInt16 CODEC(ZSTD(3)) COMMENT 'quality bits, 0 = not doubted / 质量标志',
    registry        UInt32 CODEC(ZSTD(3)) COMMENT 'registry version that named and placed it / 台账版本',
    gateway         LowCardinality(String) CODEC(ZSTD(3)) COMMENT 'identity: gateway / 标识：网关',
    epoch           UInt32 CODEC(ZSTD(3)) COMMENT 'identity: epoch of its spool / 标识：纪元',
    lane            UInt8 CODEC(ZSTD(3)) COMMENT 'identity: 0 live, 1 backfill / 标识：通道',
    seq             UInt64 CODEC(Delta, ZSTD(3)) COMMENT 'identity: message / 标识：消息序号',
    idx             UInt16 CODEC(ZSTD(3)) COMMENT 'identity: value inside the message / 标识：消息内序号',
    result          Float64 ALIAS if(decimals < 0, result_float, result_scaled / intExp10(decimals)) COMMENT 'result in the property''s canonical unit / 结果'
)
ENGINE = {{.Engine "MergeTree"}}
PARTITION BY toYYYYMM(phenomenon_time)
ORDER BY (cell, thing, datastream, phenomenon_time)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
