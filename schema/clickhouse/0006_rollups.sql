-- Roll-ups: what 5 minutes, an hour, a day of a region (H3 resolution 5) hold. docs/formats/rollups.md says how they stay
-- equal to a recompute from observations. One row a (window, region), all its values in arrays: a recompute replaces the
-- whole row under a greater version, so nothing of an older one can stay behind. The arrays go together and are sorted by
-- (property, cell, datastream). Of Things only the key is here: class, grade, owner are joined when read.
CREATE TABLE IF NOT EXISTS {{.Database}}.rollup_5m {{.Cluster}}
(
    window     DateTime('UTC') COMMENT 'begin of the 5 minutes / 窗口起点（5分钟）' CODEC(Delta, ZSTD(3)),
    region     UInt64 COMMENT 'H3 cell of resolution 5, 0 = no position / H3 区域（5级），0 表示无位置' CODEC(ZSTD(3)),
    version    UInt64 COMMENT 'number of the recompute, greatest counts / 重算编号' CODEC(ZSTD(3)),
    property   Array(UInt16) COMMENT 'number in the property catalogue / 观测属性编号' CODEC(ZSTD(3)),
    cell       Array(UInt64) COMMENT 'H3 cell of resolution 9 / H3 网格（9级）' CODEC(ZSTD(3)),
    datastream Array(UInt64) COMMENT 'Datastream id / 数据流编号' CODEC(ZSTD(3)),
    thing      Array(UInt64) COMMENT 'ThingKey / 物的64位键' CODEC(ZSTD(3)),
    n          Array(UInt32) COMMENT 'results that count / 有效观测数' CODEC(ZSTD(3)),
    flagged    Array(UInt32) COMMENT 'numbers that do not count, because doubted / 存疑观测数' CODEC(ZSTD(3)),
    others     Array(UInt32) COMMENT 'words and what is not a finite number / 非数值观测数' CODEC(ZSTD(3)),
    sum        Array(Float64) COMMENT 'of the results that count / 总和' CODEC(ZSTD(3)),
    min        Array(Float64) COMMENT 'of the results that count / 最小值' CODEC(ZSTD(3)),
    max        Array(Float64) COMMENT 'of the results that count / 最大值' CODEC(ZSTD(3)),
    newest     Array(DateTime64(3, 'UTC')) COMMENT 'time of the newest result that counts, 1970 = none / 最新观测时间' CODEC(ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
PARTITION BY toYYYYMM(window)
ORDER BY (window, region)
SETTINGS index_granularity = 64, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

CREATE TABLE IF NOT EXISTS {{.Database}}.rollup_1h {{.Cluster}}
(
    window     DateTime('UTC') COMMENT 'begin of the hour / 窗口起点（1小时）' CODEC(Delta, ZSTD(3)),
    region     UInt64 COMMENT 'H3 cell of resolution 5, 0 = no position / H3 区域（5级），0 表示无位置' CODEC(ZSTD(3)),
    version    UInt64 COMMENT 'number of the recompute, greatest counts / 重算编号' CODEC(ZSTD(3)),
    property   Array(UInt16) COMMENT 'number in the property catalogue / 观测属性编号' CODEC(ZSTD(3)),
    cell       Array(UInt64) COMMENT 'H3 cell of resolution 9 / H3 网格（9级）' CODEC(ZSTD(3)),
    datastream Array(UInt64) COMMENT 'Datastream id / 数据流编号' CODEC(ZSTD(3)),
    thing      Array(UInt64) COMMENT 'ThingKey / 物的64位键' CODEC(ZSTD(3)),
    n          Array(UInt32) COMMENT 'results that count / 有效观测数' CODEC(ZSTD(3)),
    flagged    Array(UInt32) COMMENT 'numbers that do not count, because doubted / 存疑观测数' CODEC(ZSTD(3)),
    others     Array(UInt32) COMMENT 'words and what is not a finite number / 非数值观测数' CODEC(ZSTD(3)),
    sum        Array(Float64) COMMENT 'of the results that count / 总和' CODEC(ZSTD(3)),
    min        Array(Float64) COMMENT 'of the results that count / 最小值' CODEC(ZSTD(3)),
    max        Array(Float64) COMMENT 'of the results that count / 最大值' CODEC(ZSTD(3)),
    newest     Array(DateTime64(3, 'UTC')) COMMENT 'time of the newest result that counts, 1970 = none / 最新观测时间' CODEC(ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
PARTITION BY toYYYYMM(window)
ORDER BY (window, region)
SETTINGS index_granularity = 64, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

CREATE TABLE IF NOT EXISTS {{.Database}}.rollup_1d {{.Cluster}}
(
    window     DateTime('UTC') COMMENT 'begin of the day, UTC / 窗口起点（1天，UTC）' CODEC(Delta, ZSTD(3)),
    region     UInt64 COMMENT 'H3 cell of resolution 5, 0 = no position / H3 区域（5级），0 表示无位置' CODEC(ZSTD(3)),
    version    UInt64 COMMENT 'number of the recompute, greatest counts / 重算编号' CODEC(ZSTD(3)),
    property   Array(UInt16) COMMENT 'number in the property catalogue / 观测属性编号' CODEC(ZSTD(3)),
    cell       Array(UInt64) COMMENT 'H3 cell of resolution 9 / H3 网格（9级）' CODEC(ZSTD(3)),
    datastream Array(UInt64) COMMENT 'Datastream id / 数据流编号' CODEC(ZSTD(3)),
    thing      Array(UInt64) COMMENT 'ThingKey / 物的64位键' CODEC(ZSTD(3)),
    n          Array(UInt32) COMMENT 'results that count / 有效观测数' CODEC(ZSTD(3)),
    flagged    Array(UInt32) COMMENT 'numbers that do not count, because doubted / 存疑观测数' CODEC(ZSTD(3)),
    others     Array(UInt32) COMMENT 'words and what is not a finite number / 非数值观测数' CODEC(ZSTD(3)),
    sum        Array(Float64) COMMENT 'of the results that count / 总和' CODEC(ZSTD(3)),
    min        Array(Float64) COMMENT 'of the results that count / 最小值' CODEC(ZSTD(3)),
    max        Array(Float64) COMMENT 'of the results that count / 最大值' CODEC(ZSTD(3)),
    newest     Array(DateTime64(3, 'UTC')) COMMENT 'time of the newest result that counts, 1970 = none / 最新观测时间' CODEC(ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
PARTITION BY toYYYYMM(window)
ORDER BY (window, region)
SETTINGS index_granularity = 64, fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- The same hours by Datastream, for one Datastream's year. A Datastream's hour never vanishes, so a row of it is replaced
-- and never has to be taken back.
CREATE TABLE IF NOT EXISTS {{.Database}}.rollup_datastream_1h {{.Cluster}}
(
    datastream UInt64 COMMENT 'Datastream id / 数据流编号' CODEC(ZSTD(3)),
    window     DateTime('UTC') COMMENT 'begin of the hour / 窗口起点（1小时）' CODEC(Delta, ZSTD(3)),
    version    UInt64 COMMENT 'number of the recompute, greatest counts / 重算编号' CODEC(ZSTD(3)),
    thing      UInt64 COMMENT 'ThingKey / 物的64位键' CODEC(ZSTD(3)),
    property   UInt16 COMMENT 'number in the property catalogue, 0 = not in it / 观测属性编号' CODEC(ZSTD(3)),
    n          UInt32 COMMENT 'results that count / 有效观测数' CODEC(ZSTD(3)),
    flagged    UInt32 COMMENT 'numbers that do not count, because doubted / 存疑观测数' CODEC(ZSTD(3)),
    others     UInt32 COMMENT 'words and what is not a finite number / 非数值观测数' CODEC(ZSTD(3)),
    sum        Float64 COMMENT 'of the results that count / 总和' CODEC(ZSTD(3)),
    min        Float64 COMMENT 'of the results that count / 最小值' CODEC(ZSTD(3)),
    max        Float64 COMMENT 'of the results that count / 最大值' CODEC(ZSTD(3)),
    newest     DateTime64(3, 'UTC') COMMENT 'time of the newest result that counts, 1970 = none / 最新观测时间' CODEC(Delta, ZSTD(3))
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
PARTITION BY toYYYYMM(window)
ORDER BY (datastream, window)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- What has to be recomputed: where marked > done. A block marks the 5 minutes it touched, a recompute of them the hour, that
-- of the hour the day; each notes its version as done. Rows are forgotten a day later: one forgotten too early costs a
-- recompute, never truth.
CREATE TABLE IF NOT EXISTS {{.Database}}.rollup_dirty {{.Cluster}}
(
    level      UInt8 COMMENT 'which roll-up: 0 = 5 minutes, 1 = hour, 2 = day / 汇总级别',
    window     DateTime('UTC') COMMENT 'begin of the span / 起点',
    span       UInt32 COMMENT 'its length, s: 300, 3600, 86400; 0 = the calendar month / 时长（秒），0 表示整月',
    region     UInt64 COMMENT 'H3 cell of resolution 5, 0 = no position, 18446744073709551615 = all / H3 区域',
    datastream UInt64 COMMENT 'not 0: wherever this Datastream stood in the span / 非 0：该数据流所到之处',
    marked     SimpleAggregateFunction(max, UInt64) COMMENT 'any recompute of this version or later has seen the rows / 标记编号',
    done       SimpleAggregateFunction(max, UInt64) COMMENT 'version of the last recompute / 已重算编号',
    at         SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'clock of the store / 写入时间'
)
ENGINE = {{.Engine "AggregatingMergeTree"}}
ORDER BY (level, window, span, region, datastream)
TTL at + INTERVAL 1 DAY DELETE WHERE done >= marked
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- The number of the newest recompute. It only rises, whatever the clocks do.
CREATE TABLE IF NOT EXISTS {{.Database}}.rollup_clock {{.Cluster}}
(
    name    LowCardinality(String) COMMENT 'always rollup / 恒为 rollup',
    version SimpleAggregateFunction(max, UInt64) COMMENT 'greatest version given / 已发出的最大编号'
)
ENGINE = {{.Engine "AggregatingMergeTree"}}
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, merge_selector_base = 16;

-- What the views join, as numbers: words as keys of a GROUP BY doubled the time of a map.
CREATE DICTIONARY IF NOT EXISTS {{.Database}}.rollup_thing_dict {{.Cluster}}
(
    key UInt64, stratum UInt64, owner UInt64
)
PRIMARY KEY key
SOURCE(CLICKHOUSE(QUERY 'SELECT key, division * 256 + indexOf([''government'', ''social'', ''enterprise''], toString(owner_class)) * 16
        + indexOf([''open'', ''conditional'', ''restricted''], toString(grade)) AS stratum, xxHash64(toString(owner)) AS owner
        FROM {{.Database}}.thing_versions FINAL'
    INVALIDATE_QUERY 'SELECT count(), max(version) FROM {{.Database}}.thing_versions'))
LIFETIME(MIN 1 MAX 3)
LAYOUT(HASHED_ARRAY());

CREATE DICTIONARY IF NOT EXISTS {{.Database}}.rollup_datastream_dict {{.Cluster}}
(
    id UInt64, mapped UInt8
)
PRIMARY KEY id
SOURCE(CLICKHOUSE(QUERY 'SELECT id, statistic IN (''instant'', ''avg'') AS mapped FROM {{.Database}}.datastream_versions FINAL'
    INVALIDATE_QUERY 'SELECT count(), max(version) FROM {{.Database}}.datastream_versions'))
LIFETIME(MIN 1 MAX 3)
LAYOUT(HASHED_ARRAY());

CREATE DICTIONARY IF NOT EXISTS {{.Database}}.rollup_property_dict {{.Cluster}}
(
    number UInt64, code String, unit String, worse String, middle Float64
)
PRIMARY KEY number
SOURCE(CLICKHOUSE(QUERY 'SELECT number, code, unit, worse, (min + max) / 2 AS middle FROM {{.Database}}.property_versions FINAL'
    INVALIDATE_QUERY 'SELECT count(), max(version) FROM {{.Database}}.property_versions'))
LIFETIME(MIN 1 MAX 3)
LAYOUT(FLAT());

-- What people read: cells of resolution 9 (h3ToParent gives coarser ones), one row a window, cell, property and stratum as
-- the registry has it now. Counted are instants and averages of Things that the registry knows.
CREATE VIEW IF NOT EXISTS {{.Database}}.cells_5m {{.Cluster}}
(
    window      DateTime('UTC') COMMENT 'begin of the 5 minutes, UTC / 窗口起点（5分钟，UTC）',
    region      UInt64 COMMENT 'H3 cell of resolution 5 that the cell is in / 所在区域（H3 5级）',
    cell        UInt64 COMMENT 'H3 cell of resolution 9 / H3 网格（9级）',
    property    String COMMENT 'catalogue code / 观测属性代码',
    unit        String COMMENT 'canonical unit, UCUM / 标准单位',
    owner_class String COMMENT 'government, social, enterprise or unknown, as registered now / 所有者类别（按当前台账）',
    grade       String COMMENT 'open, conditional or restricted, as registered now / 开放等级（按当前台账）',
    division    UInt32 COMMENT 'division code as registered now, 0 = not known / 行政区划代码（按当前台账）',
    n           UInt64 COMMENT 'results that count / 有效观测数',
    things      UInt64 COMMENT 'different Things with a result that counts / 有效的物的数量',
    owners      UInt64 COMMENT 'different owners of these Things / 所有者数量',
    mean        Float64 COMMENT 'of the results that count, each with the same weight; NaN if there is none / 平均值',
    min         Float64 COMMENT 'of the results that count, NaN if there is none / 最小值',
    max         Float64 COMMENT 'of the results that count, NaN if there is none / 最大值',
    worst       Float64 COMMENT 'min or max, whichever is worse for this property / 最差值',
    newest      Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the newest result that counts / 最新观测时间',
    flagged     UInt64 COMMENT 'numbers that do not count, because their quality is doubted / 存疑观测数',
    sum         Float64 COMMENT 'of the results that count, to add rows up / 总和'
)
AS SELECT window, region, place AS cell, dictGet('{{.Database}}.rollup_property_dict', 'code', number) AS property,
    dictGet('{{.Database}}.rollup_property_dict', 'unit', number) AS unit,
    ['unknown', 'government', 'social', 'enterprise'][bitAnd(intDiv(stratum, 16), 15) + 1] AS owner_class,
    ['restricted', 'open', 'conditional', 'restricted'][bitAnd(stratum, 15) + 1] AS grade, toUInt32(intDiv(stratum, 256)) AS division,
    counted AS n, things, owners, total / counted AS mean, if(counted = 0, nan, low) AS min, if(counted = 0, nan, high) AS max,
    multiIf(counted = 0, nan, dictGet('{{.Database}}.rollup_property_dict', 'worse', number) = 'low', low,
        dictGet('{{.Database}}.rollup_property_dict', 'worse', number) = 'both'
            AND dictGet('{{.Database}}.rollup_property_dict', 'middle', number) - low > high - dictGet('{{.Database}}.rollup_property_dict', 'middle', number), low,
        high) AS worst,
    if(counted = 0, NULL, last) AS newest, doubted AS flagged, total AS sum
FROM
(
    SELECT window, region, v_cell AS place, v_property AS number, dictGet('{{.Database}}.rollup_thing_dict', 'stratum', v_thing) AS stratum,
        sum(v_n) AS counted, uniqExactIf(v_thing, v_n > 0) AS things,
        uniqExactIf(dictGet('{{.Database}}.rollup_thing_dict', 'owner', v_thing), v_n > 0) AS owners,
        sum(v_sum) AS total, minIf(v_min, v_n > 0) AS low, maxIf(v_max, v_n > 0) AS high, max(v_newest) AS last, sum(v_flagged) AS doubted
    FROM {{.Database}}.rollup_5m FINAL
    ARRAY JOIN property AS v_property, cell AS v_cell, datastream AS v_datastream, thing AS v_thing, n AS v_n, flagged AS v_flagged,
        sum AS v_sum, min AS v_min, max AS v_max, newest AS v_newest
    WHERE region != 0 AND v_property != 0 AND v_n + v_flagged > 0
        AND dictGet('{{.Database}}.rollup_datastream_dict', 'mapped', v_datastream)
    GROUP BY window, region, place, number, stratum
);

CREATE VIEW IF NOT EXISTS {{.Database}}.cells_1h {{.Cluster}}
(
    window      DateTime('UTC') COMMENT 'begin of the hour, UTC / 窗口起点（1小时，UTC）',
    region      UInt64 COMMENT 'H3 cell of resolution 5 that the cell is in / 所在区域（H3 5级）',
    cell        UInt64 COMMENT 'H3 cell of resolution 9 / H3 网格（9级）',
    property    String COMMENT 'catalogue code / 观测属性代码',
    unit        String COMMENT 'canonical unit, UCUM / 标准单位',
    owner_class String COMMENT 'government, social, enterprise or unknown, as registered now / 所有者类别（按当前台账）',
    grade       String COMMENT 'open, conditional or restricted, as registered now / 开放等级（按当前台账）',
    division    UInt32 COMMENT 'division code as registered now, 0 = not known / 行政区划代码（按当前台账）',
    n           UInt64 COMMENT 'results that count / 有效观测数',
    things      UInt64 COMMENT 'different Things with a result that counts / 有效的物的数量',
    owners      UInt64 COMMENT 'different owners of these Things / 所有者数量',
    mean        Float64 COMMENT 'of the results that count, each with the same weight; NaN if there is none / 平均值',
    min         Float64 COMMENT 'of the results that count, NaN if there is none / 最小值',
    max         Float64 COMMENT 'of the results that count, NaN if there is none / 最大值',
    worst       Float64 COMMENT 'min or max, whichever is worse for this property / 最差值',
    newest      Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the newest result that counts / 最新观测时间',
    flagged     UInt64 COMMENT 'numbers that do not count, because their quality is doubted / 存疑观测数',
    sum         Float64 COMMENT 'of the results that count, to add rows up / 总和'
)
AS SELECT window, region, place AS cell, dictGet('{{.Database}}.rollup_property_dict', 'code', number) AS property,
    dictGet('{{.Database}}.rollup_property_dict', 'unit', number) AS unit,
    ['unknown', 'government', 'social', 'enterprise'][bitAnd(intDiv(stratum, 16), 15) + 1] AS owner_class,
    ['restricted', 'open', 'conditional', 'restricted'][bitAnd(stratum, 15) + 1] AS grade, toUInt32(intDiv(stratum, 256)) AS division,
    counted AS n, things, owners, total / counted AS mean, if(counted = 0, nan, low) AS min, if(counted = 0, nan, high) AS max,
    multiIf(counted = 0, nan, dictGet('{{.Database}}.rollup_property_dict', 'worse', number) = 'low', low,
        dictGet('{{.Database}}.rollup_property_dict', 'worse', number) = 'both'
            AND dictGet('{{.Database}}.rollup_property_dict', 'middle', number) - low > high - dictGet('{{.Database}}.rollup_property_dict', 'middle', number), low,
        high) AS worst,
    if(counted = 0, NULL, last) AS newest, doubted AS flagged, total AS sum
FROM
(
    SELECT window, region, v_cell AS place, v_property AS number, dictGet('{{.Database}}.rollup_thing_dict', 'stratum', v_thing) AS stratum,
        sum(v_n) AS counted, uniqExactIf(v_thing, v_n > 0) AS things,
        uniqExactIf(dictGet('{{.Database}}.rollup_thing_dict', 'owner', v_thing), v_n > 0) AS owners,
        sum(v_sum) AS total, minIf(v_min, v_n > 0) AS low, maxIf(v_max, v_n > 0) AS high, max(v_newest) AS last, sum(v_flagged) AS doubted
    FROM {{.Database}}.rollup_1h FINAL
    ARRAY JOIN property AS v_property, cell AS v_cell, datastream AS v_datastream, thing AS v_thing, n AS v_n, flagged AS v_flagged,
        sum AS v_sum, min AS v_min, max AS v_max, newest AS v_newest
    WHERE region != 0 AND v_property != 0 AND v_n + v_flagged > 0
        AND dictGet('{{.Database}}.rollup_datastream_dict', 'mapped', v_datastream)
    GROUP BY window, region, place, number, stratum
);

CREATE VIEW IF NOT EXISTS {{.Database}}.cells_1d {{.Cluster}}
(
    window      DateTime('UTC') COMMENT 'begin of the day, UTC / 窗口起点（1天，UTC）',
    region      UInt64 COMMENT 'H3 cell of resolution 5 that the cell is in / 所在区域（H3 5级）',
    cell        UInt64 COMMENT 'H3 cell of resolution 9 / H3 网格（9级）',
    property    String COMMENT 'catalogue code / 观测属性代码',
    unit        String COMMENT 'canonical unit, UCUM / 标准单位',
    owner_class String COMMENT 'government, social, enterprise or unknown, as registered now / 所有者类别（按当前台账）',
    grade       String COMMENT 'open, conditional or restricted, as registered now / 开放等级（按当前台账）',
    division    UInt32 COMMENT 'division code as registered now, 0 = not known / 行政区划代码（按当前台账）',
    n           UInt64 COMMENT 'results that count / 有效观测数',
    things      UInt64 COMMENT 'different Things with a result that counts / 有效的物的数量',
    owners      UInt64 COMMENT 'different owners of these Things / 所有者数量',
    mean        Float64 COMMENT 'of the results that count, each with the same weight; NaN if there is none / 平均值',
    min         Float64 COMMENT 'of the results that count, NaN if there is none / 最小值',
    max         Float64 COMMENT 'of the results that count, NaN if there is none / 最大值',
    worst       Float64 COMMENT 'min or max, whichever is worse for this property / 最差值',
    newest      Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the newest result that counts / 最新观测时间',
    flagged     UInt64 COMMENT 'numbers that do not count, because their quality is doubted / 存疑观测数',
    sum         Float64 COMMENT 'of the results that count, to add rows up / 总和'
)
AS SELECT window, region, place AS cell, dictGet('{{.Database}}.rollup_property_dict', 'code', number) AS property,
    dictGet('{{.Database}}.rollup_property_dict', 'unit', number) AS unit,
    ['unknown', 'government', 'social', 'enterprise'][bitAnd(intDiv(stratum, 16), 15) + 1] AS owner_class,
    ['restricted', 'open', 'conditional', 'restricted'][bitAnd(stratum, 15) + 1] AS grade, toUInt32(intDiv(stratum, 256)) AS division,
    counted AS n, things, owners, total / counted AS mean, if(counted = 0, nan, low) AS min, if(counted = 0, nan, high) AS max,
    multiIf(counted = 0, nan, dictGet('{{.Database}}.rollup_property_dict', 'worse', number) = 'low', low,
        dictGet('{{.Database}}.rollup_property_dict', 'worse', number) = 'both'
            AND dictGet('{{.Database}}.rollup_property_dict', 'middle', number) - low > high - dictGet('{{.Database}}.rollup_property_dict', 'middle', number), low,
        high) AS worst,
    if(counted = 0, NULL, last) AS newest, doubted AS flagged, total AS sum
FROM
(
    SELECT window, region, v_cell AS place, v_property AS number, dictGet('{{.Database}}.rollup_thing_dict', 'stratum', v_thing) AS stratum,
        sum(v_n) AS counted, uniqExactIf(v_thing, v_n > 0) AS things,
        uniqExactIf(dictGet('{{.Database}}.rollup_thing_dict', 'owner', v_thing), v_n > 0) AS owners,
        sum(v_sum) AS total, minIf(v_min, v_n > 0) AS low, maxIf(v_max, v_n > 0) AS high, max(v_newest) AS last, sum(v_flagged) AS doubted
    FROM {{.Database}}.rollup_1d FINAL
    ARRAY JOIN property AS v_property, cell AS v_cell, datastream AS v_datastream, thing AS v_thing, n AS v_n, flagged AS v_flagged,
        sum AS v_sum, min AS v_min, max AS v_max, newest AS v_newest
    WHERE region != 0 AND v_property != 0 AND v_n + v_flagged > 0
        AND dictGet('{{.Database}}.rollup_datastream_dict', 'mapped', v_datastream)
    GROUP BY window, region, place, number, stratum
);

CREATE VIEW IF NOT EXISTS {{.Database}}.datastream_1h {{.Cluster}}
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
FROM {{.Database}}.rollup_datastream_1h AS r FINAL;
