package city

import (
	"math"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// kind is one sort of Thing. Shares add up to 1.
type kind struct {
	name, title string
	share       float64
	class       sensor.OwnerClass
	grade       sensor.AccessGrade
	protocol    string
	slower      int     // messages come every Interval * slower
	spread      float64 // 1 = as people live; smaller = over the whole municipality
	scenes      []string
	owners      []owner
	values      []Value
}

type owner struct {
	id  string
	crs geo.CRS
}

// kinds is the city's stock. HJ 212 codes and units are those of the catalogue (a34004 in ug/m3, a21004 in mg/m3).
var kinds = []kind{
	{"air", "空气站", 0.14, sensor.Government, sensor.Open, "hj212", 2, 0.7, []string{"air"},
		[]owner{{"ecology", geo.WGS84}, {"meteo", geo.CGCS2000}}, []Value{
			{"pm2_5", "a34004", 0, pm25}, {"pm10", "a34002", 0, pm10}, {"no2", "a21004", 3, thousandth(no2)},
			{"o3", "a05024", 3, thousandth(o3)}, {"temperature", "a01001", 1, temperature}, {"humidity", "a01002", 0, humidity}}},
	{"river", "水位站", 0.07, sensor.Government, sensor.Open, "json", 4, 0.2, []string{"flood"},
		[]owner{{"water", geo.CGCS2000}}, []Value{
			{"water_level", "water_level", 2, level}, {"rainfall", "rainfall", 1, rainfall}}},
	{"slope", "地灾监测点", 0.06, sensor.Government, sensor.Conditional, "json", 4, 0.1, []string{"slope"},
		[]owner{{"geology", geo.CGCS2000}}, []Value{
			{"crack", "crack", 1, crack}, {"tilt", "tilt", 3, tilt}, {"rainfall", "rainfall", 1, rainfall}}},
	{"road", "交通检测器", 0.10, sensor.Government, sensor.Open, "json", 1, 1, []string{"traffic"},
		[]owner{{"traffic", geo.GCJ02}}, []Value{
			{"traffic_speed", "traffic_speed", 1, speed}, {"noise", "noise", 1, noise}}},
	{"dust", "工地扬尘", 0.13, sensor.Enterprise, sensor.Conditional, "hj212", 2, 1, []string{"air", "worksafety"},
		[]owner{{"cscec", geo.GCJ02}, {"crcg", geo.GCJ02}, {"jinke", geo.BD09}}, []Value{
			{"pm2_5", "a34004", 0, pm25}, {"pm10", "a34002", 0, pm10}, {"wind_speed", "a01007", 1, wind}, {"temperature", "a01001", 1, temperature}}},
	{"gas", "燃气报警", 0.10, sensor.Enterprise, sensor.Restricted, "json", 1, 1, []string{"worksafety"},
		[]owner{{"gasgroup", geo.GCJ02}}, []Value{
			{"methane", "methane", 1, methane}, {"battery", "battery", 0, battery}}},
	{"kitchen", "餐饮油烟", 0.08, sensor.Enterprise, sensor.Conditional, "json", 2, 1, []string{"kitchen"},
		[]owner{{"catering", geo.GCJ02}}, []Value{
			{"oil_fume", "oil_fume", 2, oilFume}}},
	{"home", "市民传感器", 0.32, sensor.Social, sensor.Conditional, "json", 1, 1, []string{"air"},
		citizens(40), []Value{
			{"pm2_5", "pm2_5", 1, pm25}, {"temperature", "temperature", 1, temperature}, {"humidity", "humidity", 0, humidity}, {"noise", "noise", 1, noise}}},
}

func citizens(n int) []owner {
	list := make([]owner, n)
	for i := range list {
		list[i] = owner{id: "citizen-" + string(rune('a'+i/10)) + string(rune('0'+i%10))}
	}
	return list
}

func kindFor(x float64) *kind {
	for i := range kinds {
		if x -= kinds[i].share; x < 0 {
			return &kinds[i]
		}
	}
	return &kinds[len(kinds)-1]
}

// thousandth turns ug/m3 into the mg/m3 of HJ 212.
func thousandth(f func(*Thing, state, uint64) float64) func(*Thing, state, uint64) float64 {
	return func(t *Thing, s state, step uint64) float64 { return f(t, s, step) / 1000 }
}

// What each property does. base is the Thing's own share of 0..1, noise its own stream.

func pm25(t *Thing, s state, step uint64) float64 {
	v := 22 + 26*t.base + 20*s.rush + 18*s.drift + 95*s.ahead - 25*s.clean - 18*s.rain
	return math.Max(1, v+2.5*bell(t.own, 20, step))
}

func pm10(t *Thing, s state, step uint64) float64 {
	return math.Max(2, 1.45*pm25(t, s, step)+8+4*bell(t.own, 21, step))
}

func no2(t *Thing, s state, step uint64) float64 {
	return math.Max(1, 18+20*t.base+38*s.rush+12*s.ahead-10*s.sun+2*bell(t.own, 22, step))
}

func o3(t *Thing, s state, step uint64) float64 {
	return math.Max(1, 25+110*s.sun-18*s.rush+25*s.ahead-35*s.rain+3*bell(t.own, 23, step))
}

func temperature(t *Thing, s state, step uint64) float64 {
	return 14 + 3*t.base + 8*s.sun + 3*s.drift + 2*s.ahead - 6*s.rain - 4*s.clean + 0.15*bell(t.own, 24, step)
}

func humidity(t *Thing, s state, step uint64) float64 {
	v := 68 + 8*t.base - 18*s.sun + 26*s.rain - 8*s.clean + 0.8*bell(t.own, 25, step)
	return math.Min(100, math.Max(15, v))
}

func wind(t *Thing, s state, step uint64) float64 {
	return math.Max(0, 1.2+t.base+1.5*s.sun+9*s.rain+0.4*bell(t.own, 26, step))
}

func rainfall(t *Thing, s state, step uint64) float64 {
	if s.rain < 0.25 {
		return 0
	}
	return math.Max(0, 9*(s.rain-0.25)+0.5*bell(t.own, 27, step))
}

func level(t *Thing, s state, step uint64) float64 {
	return 165 + 60*t.base + 0.6*s.drift + 2.6*s.rain + 1.4*s.clean + 0.01*bell(t.own, 28, step)
}

func crack(t *Thing, s state, step uint64) float64 {
	return math.Max(0, 2+12*t.base+3.5*s.rain+1.5*s.clean+0.1*bell(t.own, 29, step))
}

func tilt(t *Thing, s state, step uint64) float64 {
	return 0.4*t.base + 0.25*s.rain + 0.004*bell(t.own, 30, step)
}

func speed(t *Thing, s state, step uint64) float64 {
	return math.Max(4, 62-8*t.base-38*s.rush-14*s.rain+2.5*bell(t.own, 31, step))
}

func noise(t *Thing, s state, step uint64) float64 {
	return 46 + 8*t.base + 15*math.Min(1, s.rush+0.3*s.sun) + 4*s.rain + 1.4*bell(t.own, 32, step)
}

// methane leaks in one Thing of fifty, for twenty minutes every few hours.
func methane(t *Thing, s state, step uint64) float64 {
	v := math.Abs(0.4 * bell(t.own, 33, step))
	if t.own%50 == 0 && (step/40)%9 == t.own/50%9 {
		v += 12 + 30*t.base
	}
	return v
}

func battery(t *Thing, _ state, step uint64) float64 {
	return 100 - math.Mod(float64(step)/2000+90*t.base, 90)
}

func oilFume(t *Thing, s state, step uint64) float64 {
	return math.Max(0.02, 0.25+1.6*(s.rush)*(0.4+t.base)+0.12*bell(t.own, 34, step))
}
