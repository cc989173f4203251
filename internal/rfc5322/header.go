package rfc5322

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"strings"
)

// What can be wrong with a header; matched with errors.Is. The first two are
// errors of [ReadHeader], the others are told by [Header.Malformed].
var (
	ErrTooLarge      = errors.New("message header too large")
	ErrTooManyFields = errors.New("too many header fields")
	ErrNoSeparator   = errors.New("no blank line after the message header")
	ErrBlankName     = errors.New("blank before the colon of a header field")
	ErrFieldSyntax   = errors.New("malformed header field")
)

// A Header is the header block of a message: its fields in order, each with its
// exact octets, and the blank line. The zero Header has no fields and is ready
// for use. It is not safe for concurrent use.
type Header struct {
	fields    []Field
	end       string // the blank line as it was read; "" stands for CRLF
	unclosed  bool   // the blank line was missing
	blankName bool   // a field had a blank before its colon when it was read
}

// A Field is one header field with its folded lines.
type Field struct {
	raw   []byte // with the line end
	colon int    // index of the colon
}

// Raw is the field as it came, line ends included. It must not be changed.
func (f Field) Raw() []byte { return f.raw }

// Name is the field's name as written, without blanks before the colon.
func (f Field) Name() string { return string(f.name()) }

func (f Field) name() []byte { return bytes.TrimRight(f.raw[:f.colon], " \t") }

// Value is what follows the colon, unfolded (RFC 5322 section 2.2.3) and without
// the blanks around it.
func (f Field) Value() string {
	v := strings.Trim(string(f.raw[f.colon+1:]), " \t\r\n")
	if !strings.Contains(v, "\n") {
		return v
	}
	return strings.NewReplacer("\r\n", "", "\n", "").Replace(v)
}

// is reports whether the field has that name; case does not matter.
func (f Field) is(name string) bool {
	n := len(name)
	if f.colon < n || f.colon > n && f.raw[n] != ' ' && f.raw[n] != '\t' {
		return false // without a closer look, as most are
	}
	return len(f.name()) == n && strings.EqualFold(string(f.raw[:n]), name)
}

// Fields are the fields from the top down.
func (h *Header) Fields() iter.Seq[Field] { return slices.Values(h.fields) }

// Len is the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// Get is the value of the topmost field of that name, or "". Case does not
// matter.
func (h *Header) Get(name string) string {
	for _, f := range h.fields {
		if f.is(name) {
			return f.Value()
		}
	}
	return ""
}

// Has reports whether there is a field of that name, be it empty.
func (h *Header) Has(name string) bool { return h.Count(name) > 0 }

// Count is the number of fields of that name. That of Received is the number of
// hops (RFC 5321 section 6.3).
func (h *Header) Count(name string) int {
	n := 0
	for _, f := range h.fields {
		if f.is(name) {
			n++
		}
	}
	return n
}

// Del removes all fields of that name and returns how many there were.
func (h *Header) Del(name string) int {
	before := len(h.fields)
	h.fields = slices.DeleteFunc(h.fields, func(f Field) bool { return f.is(name) })
	return before - len(h.fields)
}

// Prepend puts one or more complete fields, each ending in CRLF, above the
// others. If text is anything else, Prepend changes nothing and returns
// ErrFieldSyntax. It keeps text.
func (h *Header) Prepend(text []byte) error {
	fields, err := cut(text)
	if err != nil {
		return err
	}
	h.fields = append(fields, h.fields...)
	return nil
}

// Size is the length of Bytes in octets.
func (h *Header) Size() int {
	n := len(h.blankLine())
	for _, f := range h.fields {
		n += len(f.raw)
	}
	return n
}

// Bytes is the whole header block: the fields as they came and the blank line. A
// blank line that was missing is supplied.
func (h *Header) Bytes() []byte {
	b := make([]byte, 0, h.Size())
	for _, f := range h.fields {
		b = append(b, f.raw...)
	}
	return append(b, h.blankLine()...)
}

func (h *Header) blankLine() string {
	if h.end == "" {
		return "\r\n"
	}
	return h.end
}

// Malformed says what was wrong with the header as it was read, though readable:
// ErrNoSeparator, ErrBlankName, or both joined; nil if nothing was. Programs
// disagree about such headers, so they should not be signed as they are.
func (h *Header) Malformed() error {
	var errs []error
	if h.unclosed {
		errs = append(errs, ErrNoSeparator)
	}
	if h.blankName {
		errs = append(errs, ErrBlankName)
	}
	return errors.Join(errs...)
}

// cut splits text, which must be fields in CRLF lines and nothing else.
func cut(text []byte) ([]Field, error) {
	var fields []Field
	for rest := text; len(rest) > 0; {
		n := fieldEnd(rest)
		raw := rest[:n:n]
		f := Field{raw: raw, colon: bytes.IndexByte(raw, ':')}
		if classify(raw) != lineField || len(f.name()) != f.colon || !clean(raw) || !bytes.HasSuffix(raw, crlf) {
			return nil, ErrFieldSyntax
		}
		fields = append(fields, f)
		rest = rest[n:]
	}
	return fields, nil
}

// fieldEnd is the length of the field that b begins with: up to the first line
// end that no blank follows.
func fieldEnd(b []byte) int {
	for n := 0; ; {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || b[n] != ' ' && b[n] != '\t' {
			return n
		}
	}
}
