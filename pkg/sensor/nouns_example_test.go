package sensor_test

import (
	"fmt"

	"github.com/situ-city/situ/pkg/sensor"
)

func ExampleParseThingID() {
	id, err := sensor.ParseThingID("cq-eco/station-7")
	fmt.Println(id.Owner(), id.Name(), err)
	_, err = sensor.ParseThingID("station 7")
	fmt.Println(err)
	// Output:
	// cq-eco station-7 <nil>
	// "station 7": not a Thing id (want owner/name, each 1 to 64 of letters, digits, '.', '_', '-')
}

func ExampleNewDatastreamID() {
	fmt.Println(sensor.NewDatastreamID("cq-eco/station-7", "pm2_5", sensor.Average, "a34004-Avg"))
	// Output: 7c57950cc7f8b17d
}

func ExampleQuality_String() {
	fmt.Println(sensor.Quality(0), sensor.OutOfRange|sensor.Late)
	// Output: good out_of_range|late
}

func ExampleAppendMessage() {
	record := sensor.AppendMessage(nil, &sensor.Message{
		Arrival:      1767225600000,
		Observations: []sensor.Observation{{Datastream: 1, Thing: 7, PhenomenonTime: 1767225600000, ResultTime: 1767225600000, Result: 35.2}},
	})
	var m sensor.Message
	if err := sensor.DecodeMessage(&m, record); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(record), "bytes,", m.Observations[0].Result)
	// Output: 46 bytes, 35.2
}

// A batch recognises a message that came twice by one integer a producer.
func ExampleBatch_Add() {
	var b sensor.Batch
	p := sensor.Producer{Gateway: "gw1", Epoch: 1, Lane: sensor.Live}
	m := &sensor.Message{Observations: []sensor.Observation{{Datastream: 1, Result: 35.2}}}
	fmt.Println(b.Add(p, 1, m), b.Add(p, 1, m), b.Len(), b.Duplicates)
	// Output: true false 1 1
}

// What is on the box is enough to know what a sensor sends.
func ExampleModels_Find() {
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := sensor.LoadModels(catalogue)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, _ := models.Find("LDDS75")
	fmt.Println(m.ID, m.Protocol)
	for _, d := range m.Datastreams {
		fmt.Printf("%s is %s in %s every %s\n", d.SourceKey, d.Property, d.Unit, d.Interval)
	}
	// Output:
	// dragino/ldds75 ttn
	// Distance is distance in mm every 20m0s
	// Bat is battery_voltage in V every 20m0s
}
