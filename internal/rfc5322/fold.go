package rfc5322

// A folder writes one header field, breaking lines between its parts
// (RFC 5322 section 2.2.3).
type folder struct {
	b    []byte
	line int // length of the current line
}

// foldWidth is the length a line should not exceed, CRLF not counted.
const foldWidth = 78

func newFolder(name string) *folder {
	b := append(make([]byte, 0, 256), name...)
	return &folder{b: append(b, ':'), line: len(name) + 1}
}

// add appends a part behind a blank, on a new line if it does not fit this one.
func (f *folder) add(part string) {
	if f.line+1+len(part) > foldWidth && f.line > 1 {
		f.b = append(f.b, "\r\n\t"...)
		f.line = 8
	} else {
		f.b = append(f.b, ' ')
		f.line++
	}
	f.glue(part)
}

// glue appends without a blank.
func (f *folder) glue(part string) {
	f.b = append(f.b, part...)
	f.line += len(part)
}

func (f *folder) end() []byte { return append(f.b, crlf...) }
