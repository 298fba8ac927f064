package registry

import (
	"fmt"
	"slices"
	"strings"
)

// Column is one of the columns a register may have.
type Column uint8

// The columns. Only what names the Thing is needed: id, or owner and name.
const (
	ColID         Column = iota // owner/name
	ColOwner                    //
	ColName                     // the part after the slash; what people call it when there is an id column
	ColTitle                    // what people call it
	ColClass                    // government, social, enterprise
	ColGrade                    // open, conditional, restricted
	ColLon                      // decimal degrees
	ColLat                      //
	ColCRS                      // WGS84 (if empty), CGCS2000, GCJ02, BD09
	ColDivision                 // code or name
	ColAddress                  //
	ColSerial                   // identity inside frames: MN, devEUI
	ColScenes                   // tags separated by ';'
	ColProperties               // "pm2_5;pm10=mg/m3;a34004-Rtd"
	ColProperty                 // or one a row, with the columns below
	ColUnit                     // UCUM, as the source sends
	ColStatistic                //
	ColSourceKey                // the payload's own name
	ColInterval                 // expected between results: 60, 60s, 5min, 1小时
	ColMin                      // plausible range of this instrument, in the property's unit
	ColMax
	ColRate  // largest plausible change a second, in the property's unit; 0: not judged
	ColStill // for how long a value may stay the same: 6h; 0: not judged
	ColModel // of the sensor: fills in what the row leaves empty
	columns
)

// columnNames lists what a header may be called, the first being the column's own name. They are compared in lower
// case without blanks, '_', '-' and anything in brackets.
var columnNames = [columns][]string{
	ColID:         {"id", "thing", "thingid", "编号", "设备编号", "点位编号", "站点编号", "标识", "设备标识"},
	ColOwner:      {"owner", "所有者", "业主", "权属单位", "所属单位", "归属单位"},
	ColName:       {"name"},
	ColTitle:      {"title", "label", "名称", "设备名称", "点位名称", "站点名称", "站名"},
	ColClass:      {"class", "ownerclass", "类别", "权属类别", "所有者类别", "单位类别"},
	ColGrade:      {"grade", "accessgrade", "等级", "开放等级", "共享等级", "共享类型"},
	ColLon:        {"lon", "lng", "long", "longitude", "经度"},
	ColLat:        {"lat", "latitude", "纬度"},
	ColCRS:        {"crs", "datum", "坐标系", "坐标系统", "坐标基准"},
	ColDivision:   {"division", "divisioncode", "区划", "区划代码", "行政区划", "行政区划代码"},
	ColAddress:    {"address", "地址", "详细地址", "安装位置"},
	ColSerial:     {"serial", "serialnumber", "sn", "mn", "deveui", "序列号", "设备序列号", "mn号", "mn编号", "数采仪编号"},
	ColScenes:     {"scenes", "scene", "tags", "场景", "应用场景", "标签"},
	ColProperties: {"properties", "监测项目", "监测指标", "监测因子", "指标"},
	ColProperty:   {"property", "属性", "观测属性"},
	ColUnit:       {"unit", "计量单位"},
	ColStatistic:  {"statistic", "stat", "统计", "统计方式"},
	ColSourceKey:  {"sourcekey", "key", "field", "字段", "字段名", "源字段", "因子编码"},
	ColInterval:   {"interval", "间隔", "上报间隔", "上报周期", "采集间隔", "采集周期"},
	ColMin:        {"min", "下限", "最小值", "量程下限"},
	ColMax:        {"max", "上限", "最大值", "量程上限"},
	ColRate:       {"rate", "变化率", "最大变化率", "变化率上限"},
	ColStill:      {"still", "不变时限", "恒值时限", "卡滞时限"},
	ColModel:      {"model", "型号", "设备型号", "传感器型号", "仪器型号"},
}

// String is the column's own name.
func (c Column) String() string {
	if c < columns {
		return [...]string{"id", "owner", "name", "title", "class", "grade", "lon", "lat", "crs", "division", "address", "serial",
			"scenes", "properties", "property", "unit", "statistic", "source_key", "interval", "min", "max", "rate", "still", "model"}[c]
	}
	return "?"
}

// header says which field of a record holds which column; -1: the file has no such column.
type header struct {
	at      [columns]int
	unknown []string // columns that are not situ's
}

func parseHeader(names []string) (*header, error) {
	h := &header{}
	for c := range h.at {
		h.at[c] = -1
	}
	for i, name := range names {
		key := headerKey(name)
		if key == "单位" {
			return nil, fmt.Errorf("column %q may mean owner (权属单位) or unit (计量单位); write which: %w", name, ErrCSV)
		}
		c := slices.IndexFunc(columnNames[:], func(known []string) bool { return slices.Contains(known, key) })
		switch {
		case c < 0 && key != "":
			h.unknown = append(h.unknown, strings.TrimSpace(name))
		case c >= 0 && h.at[c] >= 0:
			return nil, fmt.Errorf("columns %q and %q both mean %s; keep one: %w", names[h.at[c]], name, Column(c), ErrCSV)
		case c >= 0:
			h.at[c] = i
		}
	}
	if h.at[ColID] >= 0 && h.at[ColOwner] < 0 && h.at[ColTitle] < 0 { // "id,name,lon,lat" names the Thing by its id
		h.at[ColTitle], h.at[ColName] = h.at[ColName], -1
	}
	if h.at[ColID] < 0 && (h.at[ColOwner] < 0 || h.at[ColName] < 0) {
		return nil, fmt.Errorf("the first line must name the columns, with id (owner/name), or owner and name; it names %q: %w", names, ErrCSV)
	}
	return h, nil
}

func headerKey(name string) string {
	if i := strings.IndexAny(name, "(（"); i >= 0 {
		name = name[:i]
	}
	return strings.Map(func(c rune) rune {
		switch c {
		case ' ', '_', '-', '\t', '\u3000', '\u00a0', '\ufeff', '*':
			return -1
		}
		return c
	}, strings.ToLower(name))
}
