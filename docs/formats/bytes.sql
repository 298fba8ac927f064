-- 25 M generated rows (4,340 Things x 4 properties x 1,440 minutes) and what each layout of the raw table takes on disk.
-- Run statement by statement in the embedded engine or any ClickHouse 26; the result stands in raw-table.md.
-- The series are invented: a daily wave, a share of each Thing's own, about normal noise at the instrument's resolution;
-- half of the clocks tick in whole seconds, half in milliseconds with jitter; seq follows arrival.
CREATE DATABASE IF NOT EXISTS m;
CREATE TABLE m.src (cell UInt64, thing UInt64, datastream UInt64, property UInt16, phen Int64, arrival Int64, result Float64, dec Int8, lon Int32, lat Int32, quality UInt16, registry UInt32, seq UInt64, idx UInt16) ENGINE=MergeTree ORDER BY tuple();
INSERT INTO m.src
WITH 4340 AS T, number % 4 AS p, intDiv(number,4) AS msg, msg % T AS rank, intDiv(msg,T) AS minute,
 cityHash64('thing',rank) AS th,
 /* Chongqing's districts hold most Things in a few hundred square km */
 toInt32(1065500000 + (toInt64(th % 2000001)-1000000)*3) AS lo, toInt32(295500000 + (toInt64(intDiv(th,7777) % 2000001)-1000000)*3) AS la,
 toInt64(rank*60000/T) AS phase,
 /* half of the clocks tick in whole seconds, half in milliseconds with jitter */
 if(th%2=0, intDiv(minute*60000+phase + cityHash64(1,msg)%900, 1000)*1000, minute*60000+phase + cityHash64(1,msg)%400) AS ph,
 1760000000000 AS t0,
 2*pi()*(minute/1440) AS w,
 ((cityHash64(2,number)%1000)+(cityHash64(3,number)%1000)+(cityHash64(4,number)%1000)-1500)/500 AS g, /* about normal, sd 0.5*/
 (th%1000)/100 AS b
SELECT geoToH3(la/1e7, lo/1e7, 12), th, cityHash64(th,p), p+1, t0+ph, t0+minute*60000+phase+900+ toInt64(40+ (cityHash64(5,msg)%100) + if(cityHash64(6,msg)%50=0, cityHash64(7,msg)%3000,0)),
 multiIf(p=0, round(18+b/3+5*sin(w)+0.15*g,1), p=1, round(70+b-15*sin(w)+0.6*g), p=2, round(35+b*2+12*sin(w*2+b)+1.0*g), round(55+b+6*sin(w+b)+2*g,1)) AS r,
 multiIf(p IN (1,2), 0, 1), lo, la, if(cityHash64(8,number)%500=0,1,0), 1, msg, p
FROM numbers(4340*4*1440);
CREATE TABLE m.s2 ENGINE=MergeTree ORDER BY tuple() AS SELECT msg, row_number() OVER (ORDER BY arrival, msg) AS n FROM (SELECT seq AS msg, any(arrival) AS arrival FROM m.src GROUP BY seq);
CREATE TABLE m.src2 ENGINE=MergeTree ORDER BY tuple() AS SELECT src.* EXCEPT(seq), s2.n AS seq FROM m.src JOIN m.s2 ON src.seq=s2.msg;
DROP TABLE m.src;
RENAME TABLE m.src2 TO m.src;
CREATE TABLE m.naive (gateway LowCardinality(String), epoch UInt32, lane UInt8, seq UInt64, idx UInt16, cell UInt64, thing UInt64, datastream UInt64, property UInt16, phenomenon_time DateTime64(3), result_time DateTime64(3), arrival_time DateTime64(3), result Float64, lon Float64, lat Float64, quality UInt16, registry UInt32) ENGINE=MergeTree PARTITION BY toYYYYMM(phenomenon_time) ORDER BY (datastream, phenomenon_time);
INSERT INTO m.naive SELECT 'gw1',1,0,seq,idx,cell,thing,datastream,property,toDateTime64(phen/1000,3),toDateTime64(phen/1000,3),toDateTime64(arrival/1000,3),result,lon/1e7,lat/1e7,quality,registry FROM m.src;
CREATE TABLE m.usual (gateway LowCardinality(String), epoch UInt32, lane UInt8, seq UInt64 CODEC(DoubleDelta,ZSTD), idx UInt16, cell UInt64, thing UInt64, datastream UInt64, property UInt16, phenomenon_time DateTime64(3) CODEC(DoubleDelta,ZSTD), result_time DateTime64(3) CODEC(DoubleDelta,ZSTD), arrival_time DateTime64(3) CODEC(DoubleDelta,ZSTD), result Float64 CODEC(Gorilla,ZSTD), lon Float64 CODEC(Gorilla,ZSTD), lat Float64 CODEC(Gorilla,ZSTD), quality UInt16, registry UInt32) ENGINE=MergeTree PARTITION BY toYYYYMM(phenomenon_time) ORDER BY (cell, thing, datastream, phenomenon_time);
INSERT INTO m.usual SELECT 'gw1',1,0,seq,idx,cell,thing,datastream,property,toDateTime64(phen/1000,3),toDateTime64(phen/1000,3),toDateTime64(arrival/1000,3),result,lon/1e7,lat/1e7,quality,registry FROM m.src;
CREATE TABLE m.narrow (cell UInt64 CODEC(ZSTD(3)), thing UInt64 CODEC(ZSTD(3)), datastream UInt64 CODEC(ZSTD(3)), property UInt16 CODEC(ZSTD(3)), phenomenon_time DateTime64(3) CODEC(Delta,ZSTD(3)), result_lag Int64 CODEC(ZSTD(3)), arrival_time DateTime64(3) CODEC(Delta,ZSTD(3)), arrival_lag Int64 CODEC(Delta,ZSTD(3)), arrival_lag2 Int64 CODEC(T64,ZSTD(3)), result_scaled Int32 CODEC(Delta,ZSTD(3)), result_scaled_t64 Int32 CODEC(T64,ZSTD(3)), result_scaled_dd Int32 CODEC(DoubleDelta,ZSTD(3)), result_scaled_z Int32 CODEC(ZSTD(3)), decimals Int8 CODEC(ZSTD(3)), result_float Float64 CODEC(ZSTD(3)), lon Int32 CODEC(Delta,ZSTD(3)), lat Int32 CODEC(Delta,ZSTD(3)), quality UInt16 CODEC(ZSTD(3)), registry UInt32 CODEC(ZSTD(3)), gateway UInt32 CODEC(ZSTD(3)), epoch UInt32 CODEC(ZSTD(3)), lane UInt8 CODEC(ZSTD(3)), seq UInt64 CODEC(Delta,ZSTD(3)), seq_dd UInt64 CODEC(DoubleDelta,ZSTD(3)), seq_dd2 UInt64 CODEC(Delta,Delta,ZSTD(3)), seq_z1 UInt64 CODEC(Delta,ZSTD(1)), idx UInt16 CODEC(ZSTD(3))) ENGINE=MergeTree PARTITION BY toYYYYMM(phenomenon_time) ORDER BY (cell, thing, datastream, phenomenon_time);
INSERT INTO m.narrow SELECT cell,thing,datastream,property,toDateTime64(phen/1000,3),0,toDateTime64(arrival/1000,3),arrival-phen,arrival-phen,(toInt32(round(result*exp10(dec))) AS s),s,s,s,dec,0,lon,lat,quality,registry,1,1,0,seq,seq,seq,seq,idx FROM m.src;
CREATE TABLE m.bytime (cell UInt64 CODEC(ZSTD(3)), thing UInt64 CODEC(ZSTD(3)), datastream UInt64 CODEC(ZSTD(3)), property UInt16 CODEC(ZSTD(3)), phenomenon_time DateTime64(3) CODEC(Delta,ZSTD(3)), arrival_time DateTime64(3) CODEC(Delta,ZSTD(3)), result_scaled Int32 CODEC(ZSTD(3)), decimals Int8 CODEC(ZSTD(3)), seq UInt64 CODEC(Delta,ZSTD(3)), idx UInt16 CODEC(ZSTD(3))) ENGINE=MergeTree PARTITION BY toYYYYMM(phenomenon_time) ORDER BY (cell, thing, phenomenon_time, datastream);
INSERT INTO m.bytime SELECT cell,thing,datastream,property,toDateTime64(phen/1000,3),toDateTime64(arrival/1000,3),toInt32(round(result*exp10(dec))),dec,seq,idx FROM m.src;
CREATE TABLE m.arrays (cell UInt64 CODEC(ZSTD(3)), thing UInt64 CODEC(ZSTD(3)), phenomenon_time DateTime64(3) CODEC(Delta,ZSTD(3)), arrival_time DateTime64(3) CODEC(Delta,ZSTD(3)), datastreams Array(UInt64) CODEC(ZSTD(3)), properties Array(UInt16) CODEC(ZSTD(3)), results Array(Int32) CODEC(ZSTD(3)), results_dim Tuple(Int32,Int32,Int32,Int32) CODEC(Delta,ZSTD(3)), decimals Array(Int8) CODEC(ZSTD(3)), qualities Array(UInt16) CODEC(ZSTD(3)), seq UInt64 CODEC(Delta,ZSTD(3))) ENGINE=MergeTree PARTITION BY toYYYYMM(phenomenon_time) ORDER BY (cell, thing, phenomenon_time);
INSERT INTO m.arrays SELECT any(cell),thing,toDateTime64(any(phen)/1000,3),toDateTime64(any(arrival)/1000,3),groupArray(datastream),groupArray(property),groupArray(toInt32(round(result*exp10(dec)))) AS r,(r[1],r[2],r[3],r[4]),groupArray(dec),groupArray(quality),seq FROM (SELECT * FROM m.src ORDER BY seq,idx) GROUP BY thing,seq;
OPTIMIZE TABLE m.naive FINAL;
OPTIMIZE TABLE m.usual FINAL;
OPTIMIZE TABLE m.narrow FINAL;
OPTIMIZE TABLE m.bytime FINAL;
OPTIMIZE TABLE m.arrays FINAL;
SELECT table,column,round(sum(column_data_compressed_bytes)/24998400,4) b FROM system.parts_columns WHERE active AND database='m' AND table!='src' GROUP BY 1,2 ORDER BY 1,3 DESC;
SELECT table, round(sum(data_compressed_bytes)/24998400,3) FROM system.parts WHERE active AND database='m' GROUP BY 1
