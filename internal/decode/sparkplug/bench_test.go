package sparkplug

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

func BenchmarkDecode(b *testing.B) {
	d := New()
	if _, err := d.DecodeOn(nil, birthTopic, certificate(20, 1)); err != nil {
		b.Fatal(err)
	}
	for name, n := range map[string]int{"values2": 2, "values20": 20} {
		b.Run(name, func(b *testing.B) {
			payload := reports(n, 1)
			var room []decode.Reading
			var err error
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if room, err = d.DecodeOn(room[:0], dataTopic, payload); err != nil || len(room) != n {
					b.Fatal(len(room), err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "values/s")
		})
	}
}

func BenchmarkScan(b *testing.B) { decodetest.BenchScan(b, reports(20, 1)) }

// BenchmarkLibrary unmarshals the same payload with google.golang.org/protobuf by descriptor (situ generates no code), and
// resolves nothing.
func BenchmarkLibrary(b *testing.B) {
	field := func(name string, num int32, typ descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, Number: &num, Type: &typ, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	}
	metrics := field("metrics", 2, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE)
	metrics.Label, metrics.TypeName = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(), proto.String(".Metric")
	u64, u32 := descriptorpb.FieldDescriptorProto_TYPE_UINT64, descriptorpb.FieldDescriptorProto_TYPE_UINT32
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{Name: proto.String("p"), MessageType: []*descriptorpb.DescriptorProto{
		{Name: proto.String("Payload"), Field: []*descriptorpb.FieldDescriptorProto{field("timestamp", 1, u64), metrics, field("seq", 3, u64)}},
		{Name: proto.String("Metric"), Field: []*descriptorpb.FieldDescriptorProto{field("alias", 2, u64), field("timestamp", 3, u64),
			field("datatype", 4, u32), field("double_value", 13, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE)}},
	}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	payload := reports(20, 1)
	m := dynamicpb.NewMessage(file.Messages().ByName("Payload"))
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := proto.Unmarshal(payload, m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(20*float64(b.N)/b.Elapsed().Seconds(), "values/s")
}
