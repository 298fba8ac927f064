-- The balance: what was taken against what is found. `taken` is written by internal/store with each block, from the log
-- alone: which messages the ingester was given. What became of them is looked up in the tables themselves, so a row that
-- is lost on the way, or taken out later, is seen. docs/formats/balance.md says how.

-- A run of one producer's messages of one hour of arrival, as one block of the log held them.
CREATE TABLE IF NOT EXISTS {{.Database}}.taken {{.Cluster}}
(
    hour         DateTime('UTC') COMMENT 'hour of arrival / 到达时刻所在小时' CODEC(Delta, ZSTD(3)),
    gateway      LowCardinality(String) COMMENT 'producer: gateway / 网关',
    epoch        UInt32 COMMENT 'producer: epoch / 纪元',
    lane         UInt8 COMMENT 'producer: 0 live, 1 backfill / 通道',
    seq_from     UInt64 COMMENT 'first message of the run / 起始序号' CODEC(Delta, ZSTD(3)),
    seq_to       UInt64 COMMENT 'last message of the run / 结束序号（含）' CODEC(Delta, ZSTD(3)),
    skipped      UInt8 COMMENT '1: the log went past these without them and without a gap record / 1 表示日志中缺失' CODEC(ZSTD(3)),
    rows         UInt64 COMMENT 'observations in them / 观测数' CODEC(ZSTD(3)),
    row_sum      UInt64 COMMENT 'sum of intHash64(seq * 65536 + idx) over them / 校验和' CODEC(ZSTD(3)),
    letters      UInt64 COMMENT 'dead letters in them / 死信数' CODEC(ZSTD(3)),
    repeats      UInt64 COMMENT 'messages of the block dropped because seen before / 重复消息数' CODEC(ZSTD(3)),
    last_arrival DateTime64(3, 'UTC') COMMENT 'latest arrival in the run / 最后到达时间' CODEC(Delta, ZSTD(3)),
    written_at   DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'clock of the store / 写入时间' CODEC(Delta, ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree" "written_at"}}
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, gateway, epoch, lane, seq_from, skipped)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- Messages that rightly have no row, one by one.
CREATE TABLE IF NOT EXISTS {{.Database}}.empties {{.Cluster}}
(
    gateway      LowCardinality(String) COMMENT 'identity: gateway / 标识：网关',
    epoch        UInt32 COMMENT 'identity: epoch / 标识：纪元',
    lane         UInt8 COMMENT 'identity: lane / 标识：通道',
    seq          UInt64 COMMENT 'identity: message / 标识：消息序号' CODEC(Delta, ZSTD(3)),
    arrival_time DateTime64(3, 'UTC') COMMENT 'clock of the gateway at arrival / 网关到达时间' CODEC(Delta, ZSTD(3)),
    reason       LowCardinality(String) COMMENT 'heartbeat, command, birth, no_values, declarations / 原因',
    owner        LowCardinality(String) COMMENT 'owner, empty = not known / 所有者',
    thing        String COMMENT 'owner/name; name "-" where only the frame would say / 物的标识' CODEC(ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree"}}
PARTITION BY toYYYYMM(arrival_time)
ORDER BY (arrival_time, gateway, epoch, lane, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- A day's arrivals among years of observations.
ALTER TABLE {{.Database}}.observations {{.Cluster}} ADD INDEX IF NOT EXISTS by_arrival arrival_time TYPE minmax GRANULARITY 1;

-- P3: every acknowledged message has a row, or a dead letter, or a counted reason to be empty, or a declared gap.
-- messages = with_rows + dead_letters + empties + gaps + missing. Rows of owner '?' hold what has no owner.
-- Ask for hours (WHERE hour >= ...): the condition reaches every table below.
CREATE VIEW IF NOT EXISTS {{.Database}}.balance {{.Cluster}}
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
                FROM {{.Database}}.observations
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
