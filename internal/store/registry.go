package store

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/pkg/sensor"
)

// SyncRegistry copies Things and Datastreams as the registry has them now; of several versions the greatest counts, so
// the order and repeats of calls do not matter. When it returns, history joins with what was given.
func (s *Store) SyncRegistry(ctx context.Context, things []sensor.Thing, datastreams []sensor.Datastream) error {
	if len(things) > 0 {
		if err := s.insertThings(ctx, things); err != nil {
			return err
		}
		if err := s.reload(ctx, "thing_dict", "rollup_thing_dict"); err != nil {
			return err
		}
	}
	if len(datastreams) > 0 {
		if err := s.insertDatastreams(ctx, datastreams); err != nil {
			return err
		}
		return s.reload(ctx, "datastream_dict", "rollup_datastream_dict")
	}
	return nil
}

func (s *Store) insertThings(ctx context.Context, things []sensor.Thing) error {
	return s.send(ctx, "thing_versions", `key, id, name, owner, owner_class, grade, lon, lat, crs, original_lon, original_lat,
		cell, division, address, scenes, serial, auto, retired, version`, func(batch driver.Batch) error {
		for i := range things {
			t := &things[i]
			scenes := t.Scenes
			if scenes == nil {
				scenes = []string{}
			}
			if err := batch.Append(uint64(t.ID.Key()), string(t.ID), t.Name, t.ID.Owner(), t.Class.String(), t.Grade.String(),
				ifPlaced(t, t.Location.Lon), ifPlaced(t, t.Location.Lat), t.CRS.String(),
				ifPlaced(t, t.Original.Lon), ifPlaced(t, t.Original.Lat), uint64(t.Cell), uint32(t.Division), t.Address, scenes,
				t.Serial, t.Auto, t.Retired, t.Version); err != nil {
				return err
			}
		}
		return nil
	})
}

func ifPlaced(t *sensor.Thing, degrees float64) *float64 {
	if !t.Placed {
		return nil
	}
	return &degrees
}

func (s *Store) insertDatastreams(ctx context.Context, datastreams []sensor.Datastream) error {
	return s.send(ctx, "datastream_versions", `id, thing, property, statistic, source_key, source_unit, interval_ms, min, max,
		auto, version`, func(batch driver.Batch) error {
		for i := range datastreams {
			d := &datastreams[i]
			if err := batch.Append(uint64(d.ID), string(d.Thing), string(d.Property), d.Statistic.String(), d.SourceKey, d.Unit,
				d.Interval.Milliseconds(), d.Min, d.Max, d.Auto, d.Version); err != nil {
				return err
			}
		}
		return nil
	})
}

// SyncProperties copies the catalogue. The newest copy counts.
func (s *Store) SyncProperties(ctx context.Context, properties []sensor.ObservedProperty) error {
	version, err := s.propertyVersion(ctx)
	if err != nil {
		return err
	}
	err = s.send(ctx, "property_versions", "number, code, name_zh, name_en, unit, resolution, min, max, worse, sector, breaks, version",
		func(batch driver.Batch) error {
			for i := range properties {
				p := &properties[i]
				breaks := p.Breaks
				if breaks == nil {
					breaks = []float64{}
				}
				if err := batch.Append(uint16(p.Number), string(p.Code), p.NameZH, p.NameEN, p.Unit, p.Resolution, p.Min, p.Max,
					p.Worse, p.Sector, breaks, version); err != nil {
					return err
				}
			}
			return nil
		})
	if err != nil {
		return err
	}
	return s.reload(ctx, "property_dict", "rollup_property_dict")
}

// propertyVersion is a version above every copy that is there, also when a clock ran ahead once.
func (s *Store) propertyVersion(ctx context.Context) (uint64, error) {
	var newest uint64
	err := s.conn.QueryRow(ctx, s.sql("SELECT max(version) FROM ~property_versions")).Scan(&newest)
	return max(newest+1, uint64(failpoint.Now().UnixMilli())), wrap("read the catalogue's version", err)
}

func (s *Store) reload(ctx context.Context, dictionaries ...string) error {
	d := dialect{cluster: s.opt.Cluster}
	for _, dictionary := range dictionaries {
		if err := s.exec(ctx, "SYSTEM RELOAD DICTIONARY "+d.Cluster()+" ~"+dictionary); err != nil {
			return wrap("reload "+dictionary, err)
		}
	}
	return nil
}
