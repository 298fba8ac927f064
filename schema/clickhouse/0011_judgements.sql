-- What is only known later: readings that are missing, values that disagree with their neighbours, instants that were sent
-- again. docs/quality.md has the rules. One row a (span, window, kind, shard), all its judgements in arrays: a recompute
-- replaces the whole row under a greater version, so a judgement that does not hold any more is gone with it.
CREATE TABLE IF NOT EXISTS {{.Database}}.judgement_windows {{.Cluster}}
(
    span       UInt32 COMMENT 'length of the window, s: 3600, 86400 / 窗口时长（秒）' CODEC(ZSTD(3)),
    window     DateTime('UTC') COMMENT 'its begin; days begin at midnight of Beijing / 窗口起点，日窗口按北京时间' CODEC(Delta, ZSTD(3)),
    kind       UInt8 COMMENT '1 missing, 2 neighbour, 3 repeats / 判断类别' CODEC(ZSTD(3)),
    shard      UInt16 COMMENT 'sixteenth of the Things, or property: rows stay small / 分片' CODEC(ZSTD(3)),
    version    UInt64 COMMENT 'number of the recompute, greatest counts / 重算编号' CODEC(ZSTD(3)),
    rules      UInt16 COMMENT 'version of the rules / 规则版本' CODEC(ZSTD(3)),
    made_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'clock of the store / 判断时间' CODEC(ZSTD(3)),
    datastream Array(UInt64) COMMENT 'Datastream id / 数据流编号' CODEC(ZSTD(3)),
    at         Array(DateTime64(3, 'UTC')) COMMENT 'phenomenon_time of the instant, else the window / 观测时间' CODEC(ZSTD(3)),
    what       Array(UInt8) COMMENT '1 missing, 2 neighbour, 4 contradiction, 8 correction, 16 repeat / 判断' CODEC(ZSTD(3)),
    thing      Array(UInt64) COMMENT 'ThingKey / 物的64位键' CODEC(ZSTD(3)),
    property   Array(UInt16) COMMENT 'number in the property catalogue, 0 = not in it / 观测属性编号' CODEC(ZSTD(3)),
    interval   Array(UInt32) COMMENT 'expected between results, s / 期望间隔（秒）' CODEC(ZSTD(3)),
    expected   Array(UInt32) COMMENT 'results expected / 应到数' CODEC(ZSTD(3)),
    arrived    Array(UInt32) COMMENT 'results there / 实到数' CODEC(ZSTD(3)),
    gap        Array(UInt32) COMMENT 'longest time without a result, s / 最长中断（秒）' CODEC(ZSTD(3)),
    others     Array(UInt32) COMMENT 'other Things in the ring / 邻近的物的数量' CODEC(ZSTD(3)),
    value      Array(Float64) COMMENT 'mean of the window; the result that stands / 数值' CODEC(ZSTD(3)),
    reference  Array(Float64) COMMENT 'median of the ring; the result that does not stand / 对照值' CODEC(ZSTD(3)),
    spread     Array(Float64) COMMENT 'natural spread in the ring / 离散度' CODEC(ZSTD(3)),
    again      Array(UInt32) COMMENT 'how many more times it was sent / 重复次数' CODEC(ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
PARTITION BY toYYYYMM(window)
ORDER BY (span, window, kind, shard)
SETTINGS index_granularity = 64, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- Since when a Thing, or what was declared of it with an interval, is expected: the hour after the first that knew of it.
CREATE TABLE IF NOT EXISTS {{.Database}}.in_service {{.Cluster}}
(
    id    UInt64 COMMENT 'ThingKey, or id of the declared Datastream / 物的键或数据流编号',
    since SimpleAggregateFunction(min, DateTime('UTC')) COMMENT 'first hour in which it is expected / 起算时刻'
)
ENGINE = {{.Engine "AggregatingMergeTree"}}
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- What each Thing did in a day: one row a (day, sixteenth of the Things), replaced whole.
CREATE TABLE IF NOT EXISTS {{.Database}}.thing_day_rates {{.Cluster}}
(
    day      Date COMMENT 'day in Beijing / 北京时间日期',
    shard    UInt16 COMMENT 'sixteenth of the Things / 分片',
    version  UInt64 COMMENT 'number of the recompute, greatest counts / 重算编号' CODEC(ZSTD(3)),
    thing    Array(UInt64) COMMENT 'ThingKey / 物的64位键' CODEC(ZSTD(3)),
    hours    Array(UInt8) COMMENT 'hours in service that are over / 在役小时数' CODEC(ZSTD(3)),
    heard    Array(UInt8) COMMENT 'of them with a result / 有数据的小时数' CODEC(ZSTD(3)),
    expected Array(Float64) COMMENT 'results expected / 应到数' CODEC(ZSTD(3)),
    arrived  Array(Float64) COMMENT 'of them there / 实到数' CODEC(ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
PARTITION BY toYYYYMM(day)
ORDER BY (day, shard)
SETTINGS index_granularity = 64, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

CREATE VIEW IF NOT EXISTS {{.Database}}.judgements {{.Cluster}}
(
    window          DateTime('UTC') COMMENT 'begin of the window, UTC; days begin at midnight of Beijing / 窗口起点（UTC），日窗口按北京时间',
    span            UInt32 COMMENT 'its length, s: 3600 or 86400 / 窗口时长（秒）',
    owner           String COMMENT 'owner of the Thing / 所有者',
    thing           String COMMENT 'Thing: owner/name / 物的标识',
    datastream      UInt64 COMMENT 'Datastream id / 数据流编号',
    property        String COMMENT 'catalogue code; the source key where the catalogue has none / 观测属性代码',
    statistic       String COMMENT 'instant, avg, min, max, ... / 统计方式',
    source_key      String COMMENT 'the payload''s own name; empty = nothing has come yet / 报文中的名称',
    judgement       String COMMENT 'missing, neighbour, contradiction, correction or repeat / 判断：缺数、与邻近不符、矛盾、更正、重复',
    phenomenon_time DateTime64(3, 'UTC') COMMENT 'of contradiction and correction: the instant; else the window / 观测时间',
    interval        UInt32 COMMENT 'missing: expected between results, s / 期望间隔（秒）',
    expected        UInt32 COMMENT 'missing: results expected in the window / 应到数',
    arrived         UInt32 COMMENT 'missing: results there / 实到数',
    longest_gap     UInt32 COMMENT 'missing: longest time without a result, s / 最长中断（秒）',
    others          UInt32 COMMENT 'neighbour: other Things in the ring / 邻近的物的数量',
    value           Float64 COMMENT 'neighbour: mean of the window; contradiction, correction: the result that stands / 数值',
    reference       Float64 COMMENT 'neighbour: median of the ring; contradiction, correction: a result that does not stand / 对照值',
    spread          Float64 COMMENT 'neighbour: natural spread in the ring (1.4826 MAD, with a floor) / 离散度',
    deviation       Float64 COMMENT 'neighbour: (value - reference) / spread / 偏离倍数',
    again           UInt32 COMMENT 'contradiction, correction, repeat: how many more times it was sent / 重复次数',
    unit            String COMMENT 'canonical unit, UCUM; empty = unknown / 单位',
    owner_class     String COMMENT 'government, social, enterprise or unknown, as registered now / 所有者类别（按当前台账）',
    grade           String COMMENT 'open, conditional or restricted, as registered now / 开放等级（按当前台账）',
    division        UInt32 COMMENT 'division code as registered now, 0 = not known / 行政区划代码（按当前台账）',
    made_at         DateTime64(3, 'UTC') COMMENT 'when it was judged / 判断时间',
    rules           UInt16 COMMENT 'version of the rules it was judged by / 规则版本',
    thing_key       UInt64 COMMENT 'ThingKey, as in things.key / 物的64位键'
)
AS SELECT window, span,
    dictGet('{{.Database}}.thing_dict', 'owner', v_thing) AS owner,
    dictGet('{{.Database}}.thing_dict', 'id', v_thing) AS thing,
    v_datastream AS datastream,
    if(v_property = 0, dictGet('{{.Database}}.datastream_dict', 'source_key', v_datastream),
        dictGet('{{.Database}}.property_dict', 'code', v_property)) AS property,
    dictGet('{{.Database}}.datastream_dict', 'statistic', v_datastream) AS statistic,
    dictGet('{{.Database}}.datastream_dict', 'source_key', v_datastream) AS source_key,
    multiIf(v_what = 1, 'missing', v_what = 2, 'neighbour', v_what = 4, 'contradiction', v_what = 8, 'correction', 'repeat') AS judgement,
    v_at AS phenomenon_time, v_interval AS interval, v_expected AS expected, v_arrived AS arrived, v_gap AS longest_gap,
    v_others AS others, v_value AS value, v_reference AS reference, v_spread AS spread,
    if(v_what = 2, (v_value - v_reference) / v_spread, 0) AS deviation, v_again AS again,
    dictGet('{{.Database}}.property_dict', 'unit', v_property) AS unit,
    dictGet('{{.Database}}.thing_dict', 'owner_class', v_thing) AS owner_class,
    dictGet('{{.Database}}.thing_dict', 'grade', v_thing) AS grade,
    dictGet('{{.Database}}.thing_dict', 'division', v_thing) AS division,
    made_at, rules, v_thing AS thing_key
FROM
(
    SELECT window, span, made_at, rules, v_datastream, v_at, v_what, v_thing, v_property, v_interval, v_expected, v_arrived, v_gap,
        v_others, v_value, v_reference, v_spread, v_again
    FROM {{.Database}}.judgement_windows FINAL
    ARRAY JOIN datastream AS v_datastream, at AS v_at, what AS v_what, thing AS v_thing, property AS v_property, interval AS v_interval,
        expected AS v_expected, arrived AS v_arrived, gap AS v_gap, others AS v_others, value AS v_value, reference AS v_reference,
        spread AS v_spread, again AS v_again
    WHERE window <= now()
);

CREATE VIEW IF NOT EXISTS {{.Database}}.thing_months {{.Cluster}}
(
    month         Date COMMENT 'first day of the month, Beijing / 月份（北京时间）',
    owner         String COMMENT 'owner of the Thing / 所有者',
    thing         String COMMENT 'Thing: owner/name / 物的标识',
    online_rate   Nullable(Float64) COMMENT 'share of its hours in service in which it was heard, 0 to 1 / 在线率',
    arrival_rate  Nullable(Float64) COMMENT 'share of the expected results that arrived, 0 to 1; NULL = no interval declared / 到报率',
    online_grade  Nullable(UInt8) COMMENT '1: at least 95 %, 2: at least 90 %, 0: less / 在线率等级',
    arrival_grade Nullable(UInt8) COMMENT '1: at least 95 %, 2: at least 90 %, 0: less / 到报率等级',
    hours         UInt32 COMMENT 'hours in service that are over / 在役小时数',
    heard         UInt32 COMMENT 'of them with a result / 有数据的小时数',
    expected      Float64 COMMENT 'results expected in them / 应到数',
    arrived       Float64 COMMENT 'of them there / 实到数',
    owner_class   String COMMENT 'government, social, enterprise or unknown, as registered now / 所有者类别（按当前台账）',
    grade         String COMMENT 'open, conditional or restricted, as registered now / 开放等级（按当前台账）',
    division      UInt32 COMMENT 'division code as registered now, 0 = not known / 行政区划代码（按当前台账）',
    thing_key     UInt64 COMMENT 'ThingKey, as in things.key / 物的64位键'
)
AS SELECT month, dictGet('{{.Database}}.thing_dict', 'owner', key) AS owner, dictGet('{{.Database}}.thing_dict', 'id', key) AS thing,
    if(in_hours = 0, NULL, in_heard / in_hours) AS online_rate,
    if(in_expected < 1, NULL, least(in_arrived, in_expected) / in_expected) AS arrival_rate,
    toNullable(multiIf(online_rate >= 0.95, 1, online_rate >= 0.9, 2, online_rate >= 0, 0, NULL)) AS online_grade,
    toNullable(multiIf(arrival_rate >= 0.95, 1, arrival_rate >= 0.9, 2, arrival_rate >= 0, 0, NULL)) AS arrival_grade,
    toUInt32(in_hours) AS hours, toUInt32(in_heard) AS heard, in_expected AS expected, in_arrived AS arrived,
    dictGet('{{.Database}}.thing_dict', 'owner_class', key) AS owner_class,
    dictGet('{{.Database}}.thing_dict', 'grade', key) AS grade,
    dictGet('{{.Database}}.thing_dict', 'division', key) AS division,
    key AS thing_key
FROM
(
    SELECT toStartOfMonth(day) AS month, v_thing AS key, sum(v_hours) AS in_hours, sum(v_heard) AS in_heard,
        sum(v_expected) AS in_expected, sum(v_arrived) AS in_arrived
    FROM {{.Database}}.thing_day_rates FINAL
    ARRAY JOIN thing AS v_thing, hours AS v_hours, heard AS v_heard, expected AS v_expected, arrived AS v_arrived
    WHERE day <= toDate(now() + INTERVAL 8 HOUR)
    GROUP BY month, key
);

-- As 0010 has it, with what was judged of each row. A query that does not name the column does not pay for it.
CREATE OR REPLACE VIEW {{.Database}}.history {{.Cluster}}
(
    owner           String COMMENT 'owner of the Thing / 所有者',
    thing           String COMMENT 'Thing: owner/name / 物的标识',
    datastream      UInt64 COMMENT 'Datastream id / 数据流编号',
    property        String COMMENT 'catalogue code; the source key where the catalogue has none / 观测属性代码',
    statistic       String COMMENT 'instant, avg, min, max, ... / 统计方式',
    source_key      String COMMENT 'the payload''s own name of the value / 报文中的名称',
    phenomenon_time DateTime64(3, 'UTC') COMMENT 'when the result held / 观测时间',
    arrival_time    DateTime64(3, 'UTC') COMMENT 'clock of the gateway at arrival / 网关到达时间',
    result          Float64 COMMENT 'in the property''s canonical unit; NaN where result_text is set / 结果',
    unit            String COMMENT 'canonical unit, UCUM; empty = unknown / 单位',
    cell            UInt64 COMMENT 'H3 cell of resolution 12, 0 = no position / H3 网格（12级）',
    lon             Nullable(Float64) COMMENT 'degrees WGS 84 / 经度',
    lat             Nullable(Float64) COMMENT 'degrees WGS 84 / 纬度',
    division        UInt32 COMMENT 'division code, 0 = not known / 行政区划代码',
    owner_class     String COMMENT 'government, social, enterprise or unknown / 所有者类别',
    grade           String COMMENT 'open, conditional or restricted / 开放等级',
    quality         UInt16 COMMENT 'quality bits, 0 = not doubted / 质量标志',
    result_time     DateTime64(3, 'UTC') COMMENT 'when the result was produced / 结果时间',
    result_text     String COMMENT 'result that is a word / 文本结果',
    gateway         LowCardinality(String) COMMENT 'identity: gateway / 标识：网关',
    epoch           UInt32 COMMENT 'identity: epoch / 标识：纪元',
    lane            UInt8 COMMENT 'identity: 0 live, 1 backfill / 标识：通道',
    seq             UInt64 COMMENT 'identity: message / 标识：消息序号',
    idx             UInt16 COMMENT 'identity: value inside the message / 标识：消息内序号',
    thing_key       UInt64 COMMENT 'ThingKey, as in things.key / 物的64位键',
    registry        UInt32 COMMENT 'registry version that named and placed it / 台账版本',
    revision        UInt16 COMMENT '0 = as it was read at arrival; else it was read anew by a newer decoder / 重解码版本，0 为原始',
    judgement       UInt8 COMMENT 'bits: 1 results are missing from its hour or day, 2 its hour is far off the neighbours, 4 sent again with another result, 8 corrected, 16 its hour has repeats / 判断：缺数、与邻近不符、矛盾、更正、重复'
)
AS SELECT
    dictGet('{{.Database}}.thing_dict', 'owner', o.thing) AS owner,
    dictGet('{{.Database}}.thing_dict', 'id', o.thing) AS thing,
    o.datastream AS datastream,
    if(o.property = 0, dictGet('{{.Database}}.datastream_dict', 'source_key', o.datastream),
        dictGet('{{.Database}}.property_dict', 'code', o.property)) AS property,
    dictGet('{{.Database}}.datastream_dict', 'statistic', o.datastream) AS statistic,
    dictGet('{{.Database}}.datastream_dict', 'source_key', o.datastream) AS source_key,
    o.phenomenon_time AS phenomenon_time,
    o.arrival_time AS arrival_time,
    o.result AS result,
    dictGet('{{.Database}}.property_dict', 'unit', o.property) AS unit,
    o.cell AS cell,
    if(o.lon = -2147483648, NULL, o.lon / 10000000) AS lon,
    if(o.lat = -2147483648, NULL, o.lat / 10000000) AS lat,
    dictGet('{{.Database}}.thing_dict', 'division', o.thing) AS division,
    dictGet('{{.Database}}.thing_dict', 'owner_class', o.thing) AS owner_class,
    dictGet('{{.Database}}.thing_dict', 'grade', o.thing) AS grade,
    o.quality AS quality,
    fromUnixTimestamp64Milli(toUnixTimestamp64Milli(o.phenomenon_time) + o.result_lag, 'UTC') AS result_time,
    o.result_text AS result_text,
    o.gateway AS gateway, o.epoch AS epoch, o.lane AS lane, o.seq AS seq, o.idx AS idx,
    o.thing AS thing_key,
    o.registry AS registry,
    o.revision AS revision,
    toUInt8((((o.datastream, toDateTime(toStartOfHour(o.phenomenon_time), 'UTC')) IN (SELECT v_datastream, window FROM {{.Database}}.judgement_windows FINAL
        ARRAY JOIN datastream AS v_datastream, at AS v_at, what AS v_what WHERE v_what = 1 AND span = 3600))
        OR ((o.datastream, toDateTime(intDiv(toInt64(toUnixTimestamp(o.phenomenon_time)) + 28800, 86400) * 86400 - 28800, 'UTC')) IN (SELECT v_datastream, window FROM {{.Database}}.judgement_windows FINAL
        ARRAY JOIN datastream AS v_datastream, at AS v_at, what AS v_what WHERE v_what = 1 AND span = 86400)))
        + 2 * ((o.datastream, toDateTime(toStartOfHour(o.phenomenon_time), 'UTC')) IN (SELECT v_datastream, window FROM {{.Database}}.judgement_windows FINAL
        ARRAY JOIN datastream AS v_datastream, at AS v_at, what AS v_what WHERE v_what = 2))
        + 4 * ((o.datastream, o.phenomenon_time) IN (SELECT v_datastream, v_at FROM {{.Database}}.judgement_windows FINAL
        ARRAY JOIN datastream AS v_datastream, at AS v_at, what AS v_what WHERE v_what = 4))
        + 8 * ((o.datastream, o.phenomenon_time) IN (SELECT v_datastream, v_at FROM {{.Database}}.judgement_windows FINAL
        ARRAY JOIN datastream AS v_datastream, at AS v_at, what AS v_what WHERE v_what = 8))
        + 16 * ((o.datastream, toDateTime(toStartOfHour(o.phenomenon_time), 'UTC')) IN (SELECT v_datastream, window FROM {{.Database}}.judgement_windows FINAL
        ARRAY JOIN datastream AS v_datastream, at AS v_at, what AS v_what WHERE v_what = 16))) AS judgement
FROM
(
    SELECT *, result FROM {{.Database}}.observations
    WHERE (datastream, phenomenon_time) NOT IN (SELECT datastream, phenomenon_time FROM {{.Database}}.repeats)
    UNION ALL
    SELECT * FROM
    (
        SELECT *, result FROM {{.Database}}.observations
        WHERE (datastream, phenomenon_time) IN (SELECT datastream, phenomenon_time FROM {{.Database}}.repeats)
        ORDER BY datastream, phenomenon_time, gateway, epoch, lane, seq, revision DESC, result_lag DESC, idx DESC
        LIMIT 1 BY datastream, phenomenon_time, gateway, epoch, lane, seq
    )
    WHERE retracted = 0
    ORDER BY datastream, phenomenon_time, result_lag DESC, arrival_time DESC,
        gateway DESC, epoch DESC, lane DESC, seq DESC, idx DESC
    LIMIT 1 BY datastream, phenomenon_time
) AS o;
