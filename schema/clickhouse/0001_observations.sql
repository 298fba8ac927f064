-- One row an observation. docs/formats/raw-table.md says why each codec is what it is.
-- Rendered by internal/store: {{.Database}} is `situ`; {{.Cluster}} is empty on one node, else an ON CLUSTER clause;
-- {{.Engine "MergeTree"}} is the engine itself on one node, else its Replicated form.
CREATE TABLE IF NOT EXISTS {{.Database}}.observations {{.Cluster}}
(
    cell            UInt64 COMMENT 'H3 cell of resolution 12, 0 = no position / H3 网格（12级），0 表示无位置' CODEC(ZSTD(3)),
    thing           UInt64 COMMENT 'ThingKey: xxHash64 of owner/name / 物的64位键' CODEC(ZSTD(3)),
    datastream      UInt64 COMMENT 'Datastream id / 数据流编号' CODEC(ZSTD(3)),
    property        UInt16 COMMENT 'number in the property catalogue, 0 = not in it / 观测属性编号，0 表示目录中没有' CODEC(ZSTD(3)),
    phenomenon_time DateTime64(3, 'UTC') COMMENT 'when the result held / 观测时间' CODEC(Delta, ZSTD(3)),
    result_lag      Int64 COMMENT 'resultTime - phenomenonTime, ms / 结果时间滞后（毫秒）' CODEC(ZSTD(3)),
    arrival_time    DateTime64(3, 'UTC') COMMENT 'clock of the gateway at arrival / 网关到达时间' CODEC(Delta, ZSTD(3)),
    decimals        Int8 COMMENT 'decimals of result_scaled, -1 = result_float holds the result / 小数位数，-1 表示浮点存储' CODEC(ZSTD(3)),
    result_scaled   Int32 COMMENT 'result in units of 10^-decimals / 定点结果' CODEC(Delta, ZSTD(3)),
    result_float    Float64 COMMENT 'result where no exact whole number exists / 浮点结果' CODEC(ZSTD(3)),
    result_text     String COMMENT 'result that is a word / 文本结果' CODEC(ZSTD(3)),
    lon             Int32 COMMENT '1e-7 degrees WGS 84, -2147483648 = none / 经度' CODEC(Delta, ZSTD(3)),
    lat             Int32 COMMENT '1e-7 degrees WGS 84, -2147483648 = none / 纬度' CODEC(Delta, ZSTD(3)),
    quality         UInt16 COMMENT 'quality bits, 0 = not doubted / 质量标志' CODEC(ZSTD(3)),
    registry        UInt32 COMMENT 'registry version that named and placed it / 台账版本' CODEC(ZSTD(3)),
    gateway         LowCardinality(String) COMMENT 'identity: gateway / 标识：网关' CODEC(ZSTD(3)),
    epoch           UInt32 COMMENT 'identity: epoch of its spool / 标识：纪元' CODEC(ZSTD(3)),
    lane            UInt8 COMMENT 'identity: 0 live, 1 backfill / 标识：通道' CODEC(ZSTD(3)),
    seq             UInt64 COMMENT 'identity: message / 标识：消息序号' CODEC(Delta, ZSTD(3)),
    idx             UInt16 COMMENT 'identity: value inside the message / 标识：消息内序号' CODEC(ZSTD(3)),
    result          Float64 ALIAS if(decimals < 0, result_float, result_scaled / intExp10(decimals)) COMMENT 'result in the property''s canonical unit / 结果',
    -- One Datastream's rows without naming its cell and thing: 8 granules of 612 instead of all, for 0.02 bytes a row.
    INDEX by_datastream datastream TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{.Engine "MergeTree"}}
PARTITION BY toYYYYMM(phenomenon_time)
ORDER BY (cell, thing, datastream, phenomenon_time)
-- merge_selector_base: a block comes twice a second, and with the default of 5 the selector rewrote the whole young table
-- every second (330,000 rows merged a second for 180 inserted, a fifth of a core); with 16 it merged 1,000 to 1,800.
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16
