package dnstmpl

import "fmt"

// Limits of rendering. They are far above what a zone for mail needs, and low enough
// that no template keeps a processor or memory busy.
const (
	maxSource  = 256 << 10 // octets of a template
	maxOutput  = 1 << 20   // octets that a template writes
	maxSteps   = 200_000   // nodes executed
	maxString  = 64 << 10  // octets of one string made by a function
	maxStrings = 8 << 20   // octets of all strings made by functions
)

// A place is a line and a column of a template, both from 1.
type place struct{ line, column int }

// after is the place behind text that begins at p.
func (p place) after(text []byte) place {
	for _, c := range text {
		p.column++
		if c == '\n' {
			p = place{p.line + 1, 1}
		}
	}
	return p
}

// An output takes what a template writes and knows of each octet where in the
// template it is from. It keeps the limits too: whoever executes a template calls
// step before each node and spend for each string that is made.
type output struct {
	text     []byte
	segments []segment
	steps    int
	strings  int
}

// A segment of an output begins at an offset and is from one place. The octets of a
// literal stand in the template as they are; those of a value do not.
type segment struct {
	offset  int
	from    place
	literal bool
}

// step counts work; at is where the node that costs it stands.
func (o *output) step(at place, cost int) error {
	o.steps += cost
	if o.steps > maxSteps {
		return limit(at, fmt.Sprintf("the template takes more than %d steps", maxSteps))
	}
	return nil
}

// spend counts the octets of a string that a function is about to make.
func (o *output) spend(n int) error {
	o.strings += n
	if n > maxString || o.strings > maxStrings {
		return limit(place{}, fmt.Sprintf("strings are limited to %d octets each and %d together", maxString, maxStrings))
	}
	return nil
}

// literal writes text that stands in the template at a place.
func (o *output) literal(at place, text []byte) error {
	return o.write(segment{len(o.text), at, true}, text)
}

// value writes what an expression at a place came to.
func (o *output) value(at place, text []byte) error {
	return o.write(segment{len(o.text), at, false}, text)
}

func (o *output) write(s segment, text []byte) error {
	if len(o.text)+len(text) > maxOutput {
		return limit(s.from, fmt.Sprintf("the template writes more than %d octets", maxOutput))
	}
	o.segments = append(o.segments, s)
	o.text = append(o.text, text...)
	return nil
}

// placeOf says where in the template the octet at an offset is from; segments are
// looked at from hint on. It returns a hint for higher offsets.
func (o *output) placeOf(offset, hint int) (place, int) {
	for hint+1 < len(o.segments) && o.segments[hint+1].offset <= offset {
		hint++
	}
	if hint >= len(o.segments) {
		return place{}, hint
	}
	s := o.segments[hint]
	if !s.literal {
		return s.from, hint
	}
	return s.from.after(o.text[s.offset:min(offset, len(o.text))]), hint
}

func limit(at place, text string) Problem {
	return Problem{Line: at.line, Column: at.column, Rule: RuleLimit, Text: text}
}
