-- The registry's copy: every version of a Thing, a Datastream, a property; the greatest version counts. Written by
-- internal/store: SyncRegistry. Rows of observations are joined with it when read, through the dictionaries of 0003.
CREATE TABLE IF NOT EXISTS {{.Database}}.thing_versions {{.Cluster}}
(
    key          UInt64 COMMENT 'ThingKey: xxHash64 of owner/name / 物的64位键',
    id           String COMMENT 'owner/name / 物的标识',
    name         String COMMENT 'what people call it / 名称',
    owner        LowCardinality(String) COMMENT 'owner / 所有者',
    owner_class  LowCardinality(String) COMMENT 'government, social, enterprise or unknown / 所有者类别',
    grade        LowCardinality(String) COMMENT 'open, conditional or restricted / 开放等级',
    lon          Nullable(Float64) COMMENT 'registered place, degrees WGS 84 / 登记经度',
    lat          Nullable(Float64) COMMENT 'registered place, degrees WGS 84 / 登记纬度',
    crs          LowCardinality(String) COMMENT 'datum the owner gave / 原坐标系',
    original_lon Nullable(Float64) COMMENT 'the owner''s own number in that datum / 原经度',
    original_lat Nullable(Float64) COMMENT 'the owner''s own number in that datum / 原纬度',
    cell         UInt64 COMMENT 'H3 cell of resolution 12, 0 = no place / H3 网格',
    division     UInt32 COMMENT 'division code (GB/T 2260, GB/T 10114), 0 = not known / 行政区划代码',
    address      String COMMENT 'address / 地址',
    scenes       Array(LowCardinality(String)) COMMENT 'scene tags / 场景标签',
    serial       String COMMENT 'identity inside frames: MN, devEUI / 设备序列号',
    auto         Bool COMMENT 'declared by its first reading, by nobody yet / 自动登记',
    retired      Bool COMMENT 'out of service for ever / 已退役',
    version      UInt64 COMMENT 'number of the registry''s change / 台账版本',
    synced_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when this row was copied / 同步时间'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY key;

CREATE TABLE IF NOT EXISTS {{.Database}}.datastream_versions {{.Cluster}}
(
    id          UInt64 COMMENT 'Datastream id / 数据流编号',
    thing       String COMMENT 'owner/name / 物的标识',
    property    LowCardinality(String) COMMENT 'catalogue code, empty = not in the catalogue / 观测属性代码',
    statistic   LowCardinality(String) COMMENT 'instant, avg, min, max, ... / 统计方式',
    source_key  String COMMENT 'the payload''s own name / 报文中的名称',
    source_unit LowCardinality(String) COMMENT 'UCUM, as the source sends; empty = the property''s / 来源单位',
    interval_ms Int64 COMMENT 'expected between results, 0 = not declared / 期望间隔（毫秒）',
    min         Nullable(Float64) COMMENT 'plausible range of this instrument / 量程下限',
    max         Nullable(Float64) COMMENT 'plausible range of this instrument / 量程上限',
    auto        Bool COMMENT 'declared by its first reading / 自动登记',
    version     UInt64 COMMENT 'number of the registry''s change / 台账版本',
    synced_at   DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when this row was copied / 同步时间'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY id;

CREATE TABLE IF NOT EXISTS {{.Database}}.property_versions {{.Cluster}}
(
    number     UInt16 COMMENT 'number in the catalogue / 编号',
    code       LowCardinality(String) COMMENT 'short name, e.g. pm2_5 / 代码',
    name_zh    String COMMENT 'name in Chinese / 中文名',
    name_en    String COMMENT 'name in English / 英文名',
    unit       LowCardinality(String) COMMENT 'canonical unit, UCUM / 标准单位',
    resolution Float64 COMMENT 'what a usual instrument can tell apart / 分辨率',
    min        Float64 COMMENT 'plausible range / 合理下限',
    max        Float64 COMMENT 'plausible range / 合理上限',
    worse      LowCardinality(String) COMMENT 'high, low or both / 何者为劣',
    sector     LowCardinality(String) COMMENT 'sector / 领域',
    breaks     Array(Float64) COMMENT 'rising thresholds of the legend / 图例分级',
    version    UInt64 COMMENT 'Unix ms of the copy / 同步版本'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY number;

CREATE VIEW IF NOT EXISTS {{.Database}}.things {{.Cluster}}
(
    id           String COMMENT 'owner/name / 物的标识',
    name         String COMMENT 'what people call it / 名称',
    owner        LowCardinality(String) COMMENT 'owner / 所有者',
    owner_class  LowCardinality(String) COMMENT 'government, social, enterprise or unknown / 所有者类别',
    grade        LowCardinality(String) COMMENT 'open, conditional or restricted / 开放等级',
    lon          Nullable(Float64) COMMENT 'registered place, degrees WGS 84 / 登记经度',
    lat          Nullable(Float64) COMMENT 'registered place, degrees WGS 84 / 登记纬度',
    crs          LowCardinality(String) COMMENT 'datum the owner gave / 原坐标系',
    original_lon Nullable(Float64) COMMENT 'the owner''s own number in that datum / 原经度',
    original_lat Nullable(Float64) COMMENT 'the owner''s own number in that datum / 原纬度',
    cell         UInt64 COMMENT 'H3 cell of resolution 12, 0 = no place / H3 网格',
    division     UInt32 COMMENT 'division code, 0 = not known / 行政区划代码',
    address      String COMMENT 'address / 地址',
    scenes       Array(LowCardinality(String)) COMMENT 'scene tags / 场景标签',
    serial       String COMMENT 'identity inside frames: MN, devEUI / 设备序列号',
    auto         Bool COMMENT 'declared by its first reading, by nobody yet / 自动登记',
    retired      Bool COMMENT 'out of service for ever / 已退役',
    version      UInt64 COMMENT 'number of the registry''s change / 台账版本',
    key          UInt64 COMMENT 'ThingKey, as in history.thing_key / 物的64位键'
)
AS SELECT id, name, owner, owner_class, grade, lon, lat, crs, original_lon, original_lat, cell, division, address, scenes,
    serial, auto, retired, version, key
FROM {{.Database}}.thing_versions FINAL;

CREATE VIEW IF NOT EXISTS {{.Database}}.datastreams {{.Cluster}}
(
    id          UInt64 COMMENT 'Datastream id / 数据流编号',
    thing       String COMMENT 'owner/name / 物的标识',
    property    LowCardinality(String) COMMENT 'catalogue code, empty = not in the catalogue / 观测属性代码',
    statistic   LowCardinality(String) COMMENT 'instant, avg, min, max, ... / 统计方式',
    source_key  String COMMENT 'the payload''s own name / 报文中的名称',
    source_unit LowCardinality(String) COMMENT 'UCUM, as the source sends / 来源单位',
    interval_ms Int64 COMMENT 'expected between results, 0 = not declared / 期望间隔（毫秒）',
    min         Nullable(Float64) COMMENT 'plausible range of this instrument / 量程下限',
    max         Nullable(Float64) COMMENT 'plausible range of this instrument / 量程上限',
    auto        Bool COMMENT 'declared by its first reading / 自动登记',
    version     UInt64 COMMENT 'number of the registry''s change / 台账版本'
)
AS SELECT id, thing, property, statistic, source_key, source_unit, interval_ms, min, max, auto, version
FROM {{.Database}}.datastream_versions FINAL;

CREATE VIEW IF NOT EXISTS {{.Database}}.properties {{.Cluster}}
(
    number     UInt16 COMMENT 'number in the catalogue / 编号',
    code       LowCardinality(String) COMMENT 'short name, e.g. pm2_5 / 代码',
    name_zh    String COMMENT 'name in Chinese / 中文名',
    name_en    String COMMENT 'name in English / 英文名',
    unit       LowCardinality(String) COMMENT 'canonical unit, UCUM / 标准单位',
    resolution Float64 COMMENT 'what a usual instrument can tell apart / 分辨率',
    min        Float64 COMMENT 'plausible range / 合理下限',
    max        Float64 COMMENT 'plausible range / 合理上限',
    worse      LowCardinality(String) COMMENT 'high, low or both / 何者为劣',
    sector     LowCardinality(String) COMMENT 'sector / 领域',
    breaks     Array(Float64) COMMENT 'rising thresholds of the legend / 图例分级'
)
AS SELECT number, code, name_zh, name_en, unit, resolution, min, max, worse, sector, breaks
FROM {{.Database}}.property_versions FINAL;
