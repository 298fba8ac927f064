-- Payloads as they came, where a source asks for it (keep: raw), and what a newer decoder makes of them.
-- docs/decisions/0011-payloads-kept-and-read-again.md, docs/formats/payloads.md.

-- One row a kept PUBLISH (two where it became a message of each lane). Ordered by five minutes of arrival, then topic: what is
-- read again comes in order of arrival, and what is alike lies together. Twice the same identity is one.
-- 180 days, a week at a time: ALTER TABLE ... MODIFY TTL says otherwise.
CREATE TABLE IF NOT EXISTS {{.Database}}.payload_rows {{.Cluster}}
(
    arrival_time DateTime64(3, 'UTC') COMMENT 'clock of the gateway at arrival / 网关到达时间' CODEC(Delta, ZSTD(3)),
    topic        String COMMENT 'MQTT topic / 主题' CODEC(ZSTD(3)),
    source       LowCardinality(String) COMMENT 'configured source, empty = a topic of situ''s own form / 来源' CODEC(ZSTD(3)),
    protocol     LowCardinality(String) COMMENT 'protocol it was read by / 协议' CODEC(ZSTD(3)),
    owner        LowCardinality(String) COMMENT 'owner by the topic / 所有者' CODEC(ZSTD(3)),
    named        String COMMENT 'owner/name by the topic; name "-" where the payload names the Thing / 主题所指的物' CODEC(ZSTD(3)),
    thing        UInt64 COMMENT 'ThingKey of its first observation, 0 = none / 首个观测的物的键' CODEC(ZSTD(3)),
    client       String COMMENT 'MQTT client id / 客户端' CODEC(ZSTD(3)),
    user         LowCardinality(String) COMMENT 'MQTT user name it came under / MQTT 用户名' CODEC(ZSTD(3)),
    qos          UInt8 COMMENT 'MQTT QoS / MQTT 服务质量' CODEC(ZSTD(3)),
    part         UInt8 COMMENT '0 the whole message; else it became one in each lane: 1 this is the live one, 2 backfill / 消息部分' CODEC(ZSTD(3)),
    size         UInt32 COMMENT 'bytes of the payload as it came / 报文字节数' CODEC(ZSTD(3)),
    payload      String COMMENT 'the payload; shorter than size where a bus could not take it whole / 报文' CODEC(ZSTD(3)),
    gateway      LowCardinality(String) COMMENT 'identity: gateway / 标识：网关' CODEC(ZSTD(3)),
    epoch        UInt32 COMMENT 'identity: epoch / 标识：纪元' CODEC(ZSTD(3)),
    lane         UInt8 COMMENT 'identity: 0 live, 1 backfill / 标识：通道' CODEC(ZSTD(3)),
    seq          UInt64 COMMENT 'identity: message / 标识：消息序号' CODEC(Delta, ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree"}}
PARTITION BY toMonday(arrival_time)
ORDER BY (toStartOfFiveMinutes(arrival_time), topic, arrival_time, gateway, epoch, lane, seq)
TTL toDateTime(arrival_time) + INTERVAL 180 DAY
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

CREATE VIEW IF NOT EXISTS {{.Database}}.payloads {{.Cluster}}
(
    arrival_time DateTime64(3, 'UTC') COMMENT 'clock of the gateway at arrival / 网关到达时间',
    owner        String COMMENT 'owner by the topic, else of the Thing / 所有者',
    thing        String COMMENT 'owner/name; name "-" where only the payload says which / 物的标识',
    topic        String COMMENT 'MQTT topic / 主题',
    source       LowCardinality(String) COMMENT 'configured source, empty = a topic of situ''s own form / 来源',
    protocol     LowCardinality(String) COMMENT 'protocol it was read by / 协议',
    client       String COMMENT 'MQTT client id / 客户端',
    user         LowCardinality(String) COMMENT 'MQTT user name it came under / MQTT 用户名',
    qos          UInt8 COMMENT 'MQTT QoS / MQTT 服务质量',
    part         UInt8 COMMENT '0 the whole message; else it became one in each lane: 1 this is the live one, 2 backfill / 消息部分',
    size         UInt32 COMMENT 'bytes of the payload as it came / 报文字节数',
    payload      String COMMENT 'the payload; shorter than size where a bus could not take it whole / 报文',
    gateway      LowCardinality(String) COMMENT 'identity: gateway / 标识：网关',
    epoch        UInt32 COMMENT 'identity: epoch / 标识：纪元',
    lane         UInt8 COMMENT 'identity: 0 live, 1 backfill / 标识：通道',
    seq          UInt64 COMMENT 'identity: message / 标识：消息序号'
)
AS SELECT p.arrival_time AS arrival_time, if(p.owner = '', dictGet('{{.Database}}.thing_dict', 'owner', p.thing), toString(p.owner)) AS owner,
    if(p.thing = 0, p.named, dictGet('{{.Database}}.thing_dict', 'id', p.thing)) AS thing,
    p.topic AS topic, p.source AS source, p.protocol AS protocol, p.client AS client, p.user AS user, p.qos AS qos, p.part AS part,
    p.size AS size, p.payload AS payload, p.gateway AS gateway, p.epoch AS epoch, p.lane AS lane, p.seq AS seq
FROM {{.Database}}.payload_rows AS p FINAL;

-- What a newer decoder made of a kept payload stands beside what the first one made, under the same message. Of the rows of one
-- message and (datastream, phenomenon_time) those of the greatest revision count; if they are retracted the message says nothing
-- of that instant any more. Everything else about which row stands is as it was: the message keeps its times and its place.
ALTER TABLE {{.Database}}.observations {{.Cluster}}
    ADD COLUMN IF NOT EXISTS revision UInt16 DEFAULT 0 COMMENT '0 = as it was read at arrival; else how often it was read anew and came out otherwise / 重解码版本，0 为原始' CODEC(ZSTD(3)),
    ADD COLUMN IF NOT EXISTS retracted UInt8 DEFAULT 0 COMMENT '1: read anew, the message has no such value / 1 表示重解码后已无此值' CODEC(ZSTD(3));

-- Which pairs have rows of a revision above 0, message by message. It is written before the rows, and again with marked = 1 when
-- the roll-ups know: what is not marked was left under way by a crash.
CREATE TABLE IF NOT EXISTS {{.Database}}.revised {{.Cluster}}
(
    datastream      UInt64 COMMENT 'Datastream id / 数据流编号' CODEC(ZSTD(3)),
    phenomenon_time DateTime64(3, 'UTC') COMMENT 'when the result held / 观测时间' CODEC(Delta, ZSTD(3)),
    gateway         LowCardinality(String) COMMENT 'message: gateway / 消息：网关' CODEC(ZSTD(3)),
    epoch           UInt32 COMMENT 'message: epoch / 消息：纪元' CODEC(ZSTD(3)),
    lane            UInt8 COMMENT 'message: lane / 消息：通道' CODEC(ZSTD(3)),
    seq             UInt64 COMMENT 'message: seq / 消息：序号' CODEC(Delta, ZSTD(3)),
    revision        UInt16 COMMENT 'of its newest rows / 最新重解码版本' CODEC(ZSTD(3)),
    retracted       UInt8 COMMENT '1: they say that there is no value / 1 表示已无此值' CODEC(ZSTD(3)),
    marked          UInt8 COMMENT '1: the roll-ups know / 1 表示已通知汇总' CODEC(ZSTD(3)),
    version         UInt32 MATERIALIZED toUInt32(revision) * 2 + marked COMMENT 'greatest counts / 版本' CODEC(ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (datastream, phenomenon_time, gateway, epoch, lane, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- Pairs of which nothing is left. latest has to look behind them.
CREATE OR REPLACE VIEW {{.Database}}.vanished {{.Cluster}}
(
    datastream      UInt64 COMMENT 'Datastream id / 数据流编号',
    phenomenon_time DateTime64(3, 'UTC') COMMENT 'when the result held / 观测时间'
)
AS SELECT datastream, phenomenon_time
FROM
(
    SELECT datastream, phenomenon_time, retracted FROM {{.Database}}.observations
    WHERE (datastream, phenomenon_time) IN (SELECT datastream, phenomenon_time FROM {{.Database}}.revised WHERE retracted = 1)
    ORDER BY datastream, phenomenon_time, gateway, epoch, lane, seq, revision DESC, result_lag DESC, idx DESC
    LIMIT 1 BY datastream, phenomenon_time, gateway, epoch, lane, seq
)
GROUP BY datastream, phenomenon_time HAVING min(retracted) = 1;

-- As 0005 has it, but that of each message the newest revision speaks, and that a retracted row is none.
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
    revision        UInt16 COMMENT '0 = as it was read at arrival; else it was read anew by a newer decoder / 重解码版本，0 为原始'
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
    o.revision AS revision
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

CREATE OR REPLACE VIEW {{.Database}}.latest {{.Cluster}}
(
    owner           String COMMENT 'owner of the Thing / 所有者',
    thing           String COMMENT 'Thing: owner/name / 物的标识',
    datastream      UInt64 COMMENT 'Datastream id / 数据流编号',
    property        String COMMENT 'catalogue code; the source key where the catalogue has none / 观测属性代码',
    statistic       String COMMENT 'instant, avg, min, max, ... / 统计方式',
    source_key      String COMMENT 'the payload''s own name of the value / 报文中的名称',
    phenomenon_time DateTime64(3, 'UTC') COMMENT 'when the result held / 观测时间',
    arrival_time    DateTime64(3, 'UTC') COMMENT 'clock of the gateway at arrival / 网关到达时间',
    result          Float64 COMMENT 'in the property''s canonical unit / 结果',
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
    thing_key       UInt64 COMMENT 'ThingKey, as in things.key / 物的64位键'
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
    o.thing AS thing_key
FROM
(
    SELECT * FROM
    (
        SELECT *, result FROM {{.Database}}.observations
        WHERE (datastream, phenomenon_time) IN (SELECT datastream, max(phenomenon_time) FROM {{.Database}}.observations
            WHERE (datastream, phenomenon_time) NOT IN (SELECT datastream, phenomenon_time FROM {{.Database}}.vanished) GROUP BY datastream)
        ORDER BY datastream, gateway, epoch, lane, seq, revision DESC, result_lag DESC, idx DESC
        LIMIT 1 BY datastream, gateway, epoch, lane, seq
    )
    WHERE retracted = 0
    ORDER BY datastream, result_lag DESC, arrival_time DESC, gateway DESC, epoch DESC, lane DESC, seq DESC, idx DESC
    LIMIT 1 BY datastream
) AS o;

-- As 0008 has it, but for rows of a revision: a message that is read anew is no second message.
CREATE OR REPLACE VIEW {{.Database}}.balance {{.Cluster}}
(
    hour            DateTime('UTC') COMMENT 'hour of arrival / 到达时刻所在小时',
    gateway         LowCardinality(String) COMMENT 'producer: gateway / 网关',
    epoch           UInt32 COMMENT 'producer: epoch / 纪元',
    lane            UInt8 COMMENT 'producer: 0 live, 1 backfill / 通道',
    owner           String COMMENT 'owner of the Thing; ? = nobody can say / 所有者，? 表示无法确定',
    messages        UInt64 COMMENT 'acknowledged messages / 已确认消息数',
    with_rows       UInt64 COMMENT 'of them with at least one observation / 有观测的消息',
    dead_letters    UInt64 COMMENT 'of them with dead letters only / 仅有死信的消息',
    empties         UInt64 COMMENT 'of them that rightly hold nothing / 合理为空的消息',
    empty_reasons   Map(String, UInt64) COMMENT 'the same by reason / 为空原因',
    gaps            UInt64 COMMENT 'of them removed by policy, with a record / 按策略删除并有记录的消息',
    missing         UInt64 COMMENT 'of them that nothing tells of; must be 0 / 下落不明的消息，应为 0',
    unjudged        UInt64 COMMENT 'found, but their block is not closed yet / 尚在入库、未结算的消息',
    repeats         UInt64 COMMENT 'second deliveries dropped / 丢弃的重复投递',
    observations    UInt64 COMMENT 'rows found / 观测行数',
    rows_missing    UInt64 COMMENT 'rows that were taken and are not there; must be 0 / 缺失的行，应为 0',
    rows_doubled    UInt64 COMMENT 'rows that are there too often; must be 0 / 重复的行，应为 0',
    letters_missing UInt64 COMMENT 'dead letters that were taken and are not there; must be 0 / 缺失的死信，应为 0'
)
AS SELECT hour, gateway, epoch, lane, owned.1 AS owner,
    owned.2 + owned.3 + owned.4 + owned.6 + owned.7 AS messages,
    owned.2 AS with_rows, owned.3 AS dead_letters, owned.4 AS empties, owned.5 AS empty_reasons, owned.6 AS gaps,
    owned.7 AS missing, owned.8 AS unjudged, owned.9 AS repeats, owned.10 AS observations,
    owned.11 AS rows_missing, owned.12 AS rows_doubled, owned.13 AS letters_missing
FROM
(
    WITH
        bitmapOr(row_seqs, letter_seqs) AS told,
        bitmapOr(told, empty_seqs) AS found,
        bitmapAndnotCardinality(found, judged_seqs) AS open,
        -- Rows are compared when everything found is closed: else those on their way would look like doubles.
        open = 0 AND young = 0 AS closed,
        judged_rows = found_rows AND judged_check != found_check AS swapped
    SELECT hour, gateway, epoch, lane,
        arrayJoin(arrayFilter(o -> o.2 + o.3 + o.4 + o.6 + o.7 + o.8 + o.9 + o.11 + o.12 + o.13 > 0, arrayPushBack(
            arrayMap(o -> (o.1, bitmapCardinality(o.2), bitmapAndnotCardinality(o.3, row_seqs), bitmapAndnotCardinality(o.4, told), o.5,
                toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), o.6, toUInt64(0), toUInt64(0), toUInt64(0)), owners),
            ('?', toUInt64(0), toUInt64(0), toUInt64(0), CAST(map(), 'Map(String, UInt64)'), gone,
                bitmapAndnotCardinality(judged_seqs, found) + skips, open, again, toUInt64(0),
                toUInt64(if(closed, judged_rows - least(judged_rows, found_rows) + swapped, 0)),
                toUInt64(if(closed, found_rows - least(judged_rows, found_rows) + swapped, 0)),
                toUInt64(if(closed, judged_letters - least(judged_letters, found_letters), 0)))))) AS owned
    FROM
    (
        SELECT hour, gateway, epoch, lane,
            groupArrayIf((owner, rs, ls, es, reasons, found_n), found_n + letter_n + empty_n > 0) AS owners,
            groupBitmapOrState(rs) AS row_seqs, groupBitmapOrState(ls) AS letter_seqs, groupBitmapOrState(es) AS empty_seqs,
            groupBitmapOrState(ts) AS judged_seqs,
            sum(found_n) AS found_rows, sum(found_c) AS found_check, sum(letter_n) AS found_letters,
            sum(judged_n) AS judged_rows, sum(judged_c) AS judged_check, sum(judged_l) AS judged_letters,
            sum(gap_n) AS gone, sum(skip_n) AS skips, sum(repeat_n) AS again, sum(young_n) AS young
        FROM
        (
            SELECT hour, gateway, epoch, lane, owner,
                groupBitmapOrStateIf(seqs, what = 'row') AS rs, groupBitmapOrStateIf(seqs, what = 'letter') AS ls,
                groupBitmapOrStateIf(seqs, what = 'empty') AS es, groupBitmapOrStateIf(seqs, what = 'taken') AS ts,
                sumIf(n, what = 'row') AS found_n, sumIf(check, what = 'row') AS found_c,
                sumIf(n, what = 'letter') AS letter_n, sumIf(n, what = 'empty') AS empty_n, sumMap(reasons) AS reasons,
                sumIf(n, what = 'taken') AS judged_n, sumIf(check, what = 'taken') AS judged_c, sum(letters) AS judged_l,
                sumIf(n, what = 'gap') AS gap_n, sumIf(n, what = 'skipped') AS skip_n, sum(repeats) AS repeat_n,
                sumIf(n, what = 'young') AS young_n
            FROM
            (
                SELECT toStartOfHour(arrival_time) AS hour, gateway, epoch, lane,
                    dictGet('{{.Database}}.thing_dict', 'owner', thing) AS owner, 'row' AS what,
                    groupBitmapState(seq) AS seqs, count() AS n, sum(intHash64(seq * 65536 + idx)) AS check,
                    CAST(map(), 'Map(String, UInt64)') AS reasons, toUInt64(0) AS letters, toUInt64(0) AS repeats
                FROM {{.Database}}.observations WHERE revision = 0
                GROUP BY hour, gateway, epoch, lane, owner
                UNION ALL
                SELECT toStartOfHour(arrival_time) AS hour, gateway, epoch, lane, toString(owner) AS owner, 'letter',
                    groupBitmapState(seq), count(), toUInt64(0), CAST(map(), 'Map(String, UInt64)'), toUInt64(0), toUInt64(0)
                FROM {{.Database}}.deadletter_versions FINAL
                GROUP BY hour, gateway, epoch, lane, owner
                UNION ALL
                -- What replayed dead letters became was not taken with any block. A replay under way is not judged.
                SELECT toStartOfHour(arrival_time) AS hour, gateway, epoch, lane, '?' AS owner, if(pending, 'young', 'taken') AS what,
                    bitmapBuild(emptyArrayUInt64()), if(what = 'young', count(), sum(length(row_idxs))),
                    sum(arraySum(i -> intHash64(seq * 65536 + i), row_idxs)), CAST(map(), 'Map(String, UInt64)'), toUInt64(0), toUInt64(0)
                FROM {{.Database}}.deadletter_versions FINAL WHERE pending OR notEmpty(row_idxs)
                GROUP BY hour, gateway, epoch, lane, what
                UNION ALL
                SELECT toStartOfHour(arrival_time) AS hour, gateway, epoch, lane, toString(owner) AS owner, 'empty',
                    groupBitmapState(seq), count(), toUInt64(0), map(toString(reason), count()), toUInt64(0), toUInt64(0)
                FROM {{.Database}}.empties FINAL
                GROUP BY hour, gateway, epoch, lane, owner, reason
                UNION ALL
                SELECT toStartOfHour(at) AS hour, gateway, epoch, lane, '?' AS owner, 'gap',
                    bitmapBuild(emptyArrayUInt64()), sum(toUInt64(seq_to - seq_from + 1)), toUInt64(0), CAST(map(), 'Map(String, UInt64)'),
                    toUInt64(0), toUInt64(0)
                FROM {{.Database}}.gaps FINAL
                GROUP BY hour, gateway, epoch, lane
                UNION ALL
                SELECT hour, gateway, epoch, lane, '?' AS owner, what, groupBitmapStateIf(seq, what = 'taken'), sum(n), sum(check),
                    CAST(map(), 'Map(String, UInt64)'), sum(letters), sum(repeats)
                FROM
                (
                    SELECT hour, gateway, epoch, lane,
                        multiIf(abs(dateDiff('millisecond', written_at, now64(3))) < 5000, 'young', skipped = 1, 'skipped', 'taken') AS what,
                        arrayJoin(if(what = 'taken', range(seq_from, seq_to + 1), [seq_from])) AS seq,
                        seq = seq_from AS first,
                        toUInt64(if(first, if(what = 'taken', rows, toUInt64(seq_to - seq_from + 1)), 0)) AS n, toUInt64(if(first AND what = 'taken', row_sum, 0)) AS check,
                        toUInt64(if(first AND what = 'taken', letters, 0)) AS letters, toUInt64(if(first, repeats, 0)) AS repeats
                    FROM {{.Database}}.taken FINAL
                )
                GROUP BY hour, gateway, epoch, lane, what
            )
            GROUP BY hour, gateway, epoch, lane, owner
        )
        GROUP BY hour, gateway, epoch, lane
    )
);

-- As 0006 has it, but for hours of which nothing is left.
CREATE OR REPLACE VIEW {{.Database}}.datastream_1h {{.Cluster}}
(
    window      DateTime('UTC') COMMENT 'begin of the hour, UTC / 窗口起点（1小时，UTC）',
    owner       String COMMENT 'owner of the Thing / 所有者',
    thing       String COMMENT 'Thing: owner/name / 物的标识',
    datastream  UInt64 COMMENT 'Datastream id / 数据流编号',
    property    String COMMENT 'catalogue code; the source key where the catalogue has none / 观测属性代码',
    statistic   String COMMENT 'instant, avg, min, max, ... / 统计方式',
    unit        String COMMENT 'canonical unit, UCUM; empty = unknown / 单位',
    owner_class String COMMENT 'government, social, enterprise or unknown, as registered now / 所有者类别（按当前台账）',
    grade       String COMMENT 'open, conditional or restricted, as registered now / 开放等级（按当前台账）',
    division    UInt32 COMMENT 'division code as registered now, 0 = not known / 行政区划代码（按当前台账）',
    n           UInt64 COMMENT 'results that count / 有效观测数',
    mean        Float64 COMMENT 'of the results that count, NaN if there is none / 平均值',
    min         Float64 COMMENT 'of the results that count, NaN if there is none / 最小值',
    max         Float64 COMMENT 'of the results that count, NaN if there is none / 最大值',
    newest      Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the newest result that counts / 最新观测时间',
    flagged     UInt64 COMMENT 'numbers that do not count, because their quality is doubted / 存疑观测数',
    others      UInt64 COMMENT 'words and what is not a finite number / 非数值观测数',
    sum         Float64 COMMENT 'of the results that count, to add rows up / 总和',
    thing_key   UInt64 COMMENT 'ThingKey, as in things.key / 物的64位键'
)
AS SELECT r.window AS window,
    dictGet('{{.Database}}.thing_dict', 'owner', r.thing) AS owner,
    dictGet('{{.Database}}.thing_dict', 'id', r.thing) AS thing,
    r.datastream AS datastream,
    if(r.property = 0, dictGet('{{.Database}}.datastream_dict', 'source_key', r.datastream),
        dictGet('{{.Database}}.property_dict', 'code', r.property)) AS property,
    dictGet('{{.Database}}.datastream_dict', 'statistic', r.datastream) AS statistic,
    dictGet('{{.Database}}.property_dict', 'unit', r.property) AS unit,
    dictGet('{{.Database}}.thing_dict', 'owner_class', r.thing) AS owner_class,
    dictGet('{{.Database}}.thing_dict', 'grade', r.thing) AS grade,
    dictGet('{{.Database}}.thing_dict', 'division', r.thing) AS division,
    r.n AS n, r.sum / r.n AS mean, if(r.n = 0, nan, r.min) AS min, if(r.n = 0, nan, r.max) AS max,
    if(r.n = 0, NULL, r.newest) AS newest, r.flagged AS flagged, r.others AS others, r.sum AS sum,
    r.thing AS thing_key
FROM {{.Database}}.rollup_datastream_1h AS r FINAL
WHERE r.n + r.flagged + r.others > 0;
