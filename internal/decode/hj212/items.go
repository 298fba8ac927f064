package hj212

// items walks the name=value items of CP. A ';' ends a group, a ',' an item inside it (6.3.3); groups and items
// without anything in them are skipped, as in "a=1;;b=2,;".
type items struct {
	b []byte
	i int
}

// item is one name=value; name and value alias the data.
type item struct {
	name, value []byte
	at          int  // offset in CP
	dash        int  // place of the last '-' in name, -1 = there is none: a field, not a value
	whole       bool // false: no '=', or a control character
	closes      bool // the last item of its group
}

// next gives the next item; ok is false behind the last one.
func (s *items) next() (it item, ok bool) {
	b, i := s.b, s.i
	for i < len(b) && (b[i] == ';' || b[i] == ',') {
		i++
	}
	if i == len(b) {
		s.i = i
		return it, false
	}
	it.at, it.dash, it.whole = i, -1, true
	begin, equals := i, -1
	for ; i < len(b) && b[i] != ';' && b[i] != ','; i++ {
		switch c := b[i]; {
		case c == '=' && equals < 0:
			equals = i
		case c == '-' && equals < 0:
			it.dash = i - begin
		case c < ' ':
			it.whole = false
		}
	}
	if equals < 0 {
		it.name, it.whole = b[begin:i], false
	} else {
		it.name, it.value = b[begin:equals], b[equals+1:i]
	}
	if len(it.name) == 0 || it.dash == 0 || it.dash == len(it.name)-1 {
		it.whole = false
	}
	// The group ends with a ';' or the data; a ',' before it changes nothing.
	for i < len(b) && b[i] == ',' {
		i++
	}
	it.closes = i == len(b) || b[i] == ';'
	s.i = i
	return it, true
}
